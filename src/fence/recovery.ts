/** At start, before anything is served: thaw what a dead agent and a dead guard left frozen. */
import type { FenceLayer } from '../core/backend.ts';
import { DriverError, messageOf } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { DeviceMapper } from '../host/device-mapper.ts';
import { thawFilesystem, unlessShutDown } from '../host/freeze.ts';
import { type MountEntry, mountsOfDevice } from '../host/mount-table.ts';
import { writeRcuExpedited } from '../host/rcu.ts';
import type { FreezeJournal } from './journal.ts';
import { clearAside, withMountAside } from './mount-aside.ts';
import { openMounted } from './mounted.ts';

/**
 * Resumes every device and thaws every filesystem that the journal lists, mounted or not, restores rcu_expedited, and
 * empties the journal.
 * @returns mount points and devices that were found frozen
 * @throws DriverError unavailable when something may still be frozen: the driver must not serve then
 */
export async function recoverFrozen(journal: FreezeJournal): Promise<readonly string[]> {
  const thawed: string[] = [];
  await clearAside(journal.aside);
  const entries = await journal.list();
  const layers = entries.flatMap(({ members }) => members.flat());
  // Devices first: a filesystem may write when it is thawed, and would wait for a device that is suspended.
  for (const layer of layers) if (layer.kind === 'device' && (await resumeDevice(layer))) thawed.push(layer.name);
  for (const layer of layers) {
    const place = layer.kind === 'filesystem' ? await thawDevice(layer.devNumber, journal.aside) : undefined;
    if (place !== undefined) thawed.push(place);
  }
  if (entries.length > 0) await failpoint('recovery.thawed');
  const rcu = entries.map(({ rcuExpedited }) => rcuExpedited).filter((value) => value !== undefined);
  if (rcu.length > 0) await writeRcuExpedited(Math.min(...rcu));
  for (const { token } of entries) await journal.remove(token);
  await journal.clear();
  return thawed;
}

/** @returns false when it was not suspended, or is gone, or another one has its name */
async function resumeDevice({ name, devNumber }: FenceLayer & { readonly kind: 'device' }): Promise<boolean> {
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
 * @returns where it was found frozen
 */
async function thawDevice(devNumber: string, aside: string): Promise<string | undefined> {
  const thaw = (mountPoint: string) => thawAt(mountPoint, devNumber);
  try {
    const mounts = await mountsOfDevice(devNumber);
    if (mounts.length > 0) return await firstThatCan(mounts, async (at) => ((await thaw(at)) ? at : undefined));
    return (await withMountAside(devNumber, aside, thaw)) ? `device ${devNumber}` : undefined;
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
