/** At start, before anything is served: thaw what a dead agent and a dead guard left frozen. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FenceLayer } from '../core/backend.ts';
import { allSettled } from '../core/concurrency.ts';
import { DriverError, messageOf } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { DeviceMapper } from '../host/device-mapper.ts';
import { isLockFree } from '../host/file-lock.ts';
import { thawFilesystem, unlessShutDown } from '../host/freeze.ts';
import { type MountEntry, mountsOfDevice } from '../host/mount-table.ts';
import { writeRcuExpedited } from '../host/rcu.ts';
import type { FreezeJournal } from './journal.ts';
import { clearAside, withMountAside } from './mount-aside.ts';
import { openMounted } from './mounted.ts';

type Device = FenceLayer & { readonly kind: 'device' };
type Filesystem = FenceLayer & { readonly kind: 'filesystem' };

/** How often it is looked whether the guard is gone, milliseconds. */
const POLL_MS = 250;

export interface RecoveryOptions {
  /** Ends the wait for a guard. */
  readonly signal?: AbortSignal;
  /** Told once: a guard can still freeze what was listed, and is waited for. */
  readonly waits?: () => void;
}

/**
 * Resumes every device and thaws every filesystem that the journal lists, mounted or not, restores rcu_expedited, and
 * empties the journal. A guard that lives, or was killed and has a call stuck in the kernel, may freeze them once more: it
 * is waited for, for as long as it takes.
 * @returns mount points and devices that were found frozen
 * @throws DriverError unavailable when something may still be frozen, or may be again: the driver must not serve then
 */
export async function recoverFrozen(
  journal: FreezeJournal,
  { signal, waits }: RecoveryOptions = {},
): Promise<readonly string[]> {
  await clearAside(journal.aside);
  const entries = await journal.list();
  const layers = entries.flatMap(({ members }) => members.flat());
  const guards = [...new Set(entries.flatMap(({ guardLock }) => guardLock ?? []))];
  // Before the thaw: what was not under way then won't come.
  const gone = await allFree(guards);
  if (!gone) waits?.();
  const found = await letGo(layers, journal.aside);
  if (!gone) {
    await untilFree(guards, signal);
    // Each is frozen only once: what is frozen after it was found so is somebody else's.
    const late = layers.filter((layer) => !found.has(layer));
    for (const [layer, place] of await letGo(late, journal.aside)) found.set(layer, place);
  }
  if (entries.length > 0) await failpoint('recovery.thawed');
  const rcu = entries.map(({ rcuExpedited }) => rcuExpedited).filter((value) => value !== undefined);
  if (rcu.length > 0) await writeRcuExpedited(Math.min(...rcu));
  for (const { token } of entries) await journal.remove(token);
  await journal.clear();
  return [...found.values()];
}

async function allFree(locks: readonly string[]): Promise<boolean> {
  return (await allSettled(locks.map(isLockFree))).every(Boolean);
}

/** The kernel tells nobody: it has to be looked at. */
async function untilFree(locks: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  while (!(await allFree(locks))) {
    try {
      await sleep(POLL_MS, undefined, { ...(signal && { signal }) });
    } catch (cause) {
      const reason =
        'a guard that has not gone may still freeze what the journal lists: it is stopped, or its disk is stuck';
      throw new DriverError('unavailable', reason, { cause });
    }
  }
}

/** @returns what was found frozen, and where */
async function letGo(layers: readonly FenceLayer[], aside: string): Promise<Map<FenceLayer, string>> {
  const found = new Map<FenceLayer, string>();
  const unmounted: Filesystem[] = [];
  // Devices first: a filesystem may write when it is thawed, and would wait for a device that is suspended.
  await allSettled(
    layers.filter(isDevice).map(async (layer) => {
      if (await resumeDevice(layer)) found.set(layer, layer.name);
    }),
  );
  // At the same time: one whose disk is stuck keeps no other frozen.
  await allSettled(
    layers.filter(isFilesystem).map(async (layer) => {
      const { devNumber } = layer;
      const place = await orUnavailable(devNumber, () => thawMounted(devNumber));
      if (place === 'no mount') unmounted.push(layer);
      else if (place !== undefined) found.set(layer, place.at);
    }),
  );
  for (const layer of unmounted) {
    const { devNumber } = layer;
    const thaw = () => withMountAside(devNumber, aside, (at) => thawAt(at, devNumber));
    if (await orUnavailable(devNumber, thaw)) found.set(layer, `device ${devNumber}`);
  }
  return found;
}

function isDevice(layer: FenceLayer): layer is Device {
  return layer.kind === 'device';
}

function isFilesystem(layer: FenceLayer): layer is Filesystem {
  return layer.kind === 'filesystem';
}

/** @returns false when it was not suspended, or is gone, or another one has its name */
async function resumeDevice({ name, devNumber }: Device): Promise<boolean> {
  try {
    await using mapper = await DeviceMapper.open();
    if ((await mapper.find(name))?.devNumber !== devNumber) return false;
    return await mapper.resume(name);
  } catch (cause) {
    throw new DriverError('unavailable', `device ${name} may be suspended and can't be resumed: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/**
 * By device, not by path: the mount may have been moved, or taken away.
 * @returns where it was found frozen, if it was
 */
async function thawMounted(devNumber: string): Promise<{ readonly at: string } | 'no mount' | undefined> {
  const mounts = await mountsOfDevice(devNumber);
  if (mounts.length === 0) return 'no mount';
  return await firstThatCan(mounts, async (at) => ((await thawAt(at, devNumber)) ? { at } : undefined));
}

async function orUnavailable<T>(devNumber: string, thaw: () => Promise<T>): Promise<T> {
  try {
    return await thaw();
  } catch (cause) {
    throw new DriverError('unavailable', `device ${devNumber} may be frozen and can't be thawed: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** @returns false when it was not frozen, or nobody can reach into it any more */
async function thawAt(mountPoint: string, devNumber: string): Promise<boolean> {
  await using handle = await unlessShutDown(openMounted({ mountPoint, devNumber }));
  return handle !== undefined && (await thawFilesystem(handle.fd));
}

/** Any mount reaches the whole superblock; one that is of a single file, or covered by another, can't be opened. */
async function firstThatCan<T>(mounts: readonly MountEntry[], work: (mountPoint: string) => Promise<T>): Promise<T> {
  const failures: unknown[] = [];
  for (const { mountPoint } of mounts) {
    try {
      return await work(mountPoint);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}
