/**
 * Restores one member of a group snapshot to a new volume and reads what the writers left on it.
 */
import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes } from '../core/bytes.ts';
import { DriverError, type ErrorCode, isErrno, messageOf } from '../core/errors.ts';
import { asFsType, type FsType } from '../core/volume.ts';
import { checkFilesystem } from '../host/filesystem.ts';
import { isRefusedMount, mount, unmount } from '../host/mount.ts';
import { type MountEntry, readMountTable } from '../host/mount-table.ts';
import type { CleanupScope } from './cleanup.ts';
import { regionOf } from './places.ts';
import { type Place, REGION_BYTES, type Reading, readRegion, STREAMS, type Stream } from './record.ts';
import { type Access, removeFolder, type VolumeCalls } from './volumes.ts';

/** How restored volumes are looked at. */
export type RestoreMode =
  /** As a block device: its filesystem is checked before anything mounts it, then mounted by us. */
  | { readonly kind: 'checked'; readonly fsType: FsType }
  /** As the driver mounts it: there is no device to check. */
  | { readonly kind: 'mounted'; readonly fsType: FsType; readonly why: string }
  /** As a block device that holds no filesystem. */
  | { readonly kind: 'raw' };

export interface RestoreRequest {
  /** CSI name of the new volume. */
  readonly name: string;
  readonly snapshotId: string;
  readonly bytes: Bytes;
  /** Index of the source volume. */
  readonly volume: number;
  /** Names this run in every block. */
  readonly run: number;
}

/** What one restored volume holds. */
export interface Restored {
  /** By stream; a text says why it can't be read. None: it was not looked at. */
  readonly readings: Readonly<Partial<Record<Stream, Reading | string>>>;
  /** What the check of its filesystem found. */
  readonly unclean?: string;
  /** Why it was not looked at, or not checked: that says nothing of the snapshot. */
  readonly unchecked?: string;
}

/** Codes by which a driver says that it gives no block device of what was a filesystem. */
const REFUSALS: readonly ErrorCode[] = ['invalid-argument', 'failed-precondition', 'unimplemented', 'out-of-range'];

export class Restorer {
  readonly #volumes: Pick<VolumeCalls, 'create' | 'publish'>;
  readonly #folder: string;
  #mode: RestoreMode;
  /** Once it has, a refusal is an error. */
  #gaveDevices = false;

  constructor(volumes: Pick<VolumeCalls, 'create' | 'publish'>, mode: RestoreMode, folder: string) {
    this.#volumes = volumes;
    this.#mode = mode;
    this.#folder = folder;
  }

  get mode(): RestoreMode {
    return this.#mode;
  }

  /** Restores and reads; a driver that refuses to give the copy as a device is asked for a mounted one, now and later. */
  async restore(request: RestoreRequest, scope: CleanupScope, signal: AbortSignal): Promise<Restored> {
    const mode = this.#mode;
    try {
      return await this.#restoreAs(mode, request, scope, signal);
    } catch (error) {
      const refused = error instanceof DriverError && REFUSALS.includes(error.code);
      if (mode.kind !== 'checked' || this.#gaveDevices || !refused) throw error;
      await scope.release();
      const why = `the driver gives no device of a restored volume (${error.message})`;
      this.#mode = { kind: 'mounted', fsType: mode.fsType, why };
      // Under another name: the driver may know the first one with the capability that it refused later.
      return await this.#restoreAs(this.#mode, { ...request, name: `${request.name}-m` }, scope, signal);
    }
  }

  async #restoreAs(
    mode: RestoreMode,
    request: RestoreRequest,
    scope: CleanupScope,
    signal: AbortSignal,
  ): Promise<Restored> {
    const { name, snapshotId, bytes } = request;
    const access: Access = mode.kind === 'mounted' ? { kind: 'mount', fsType: mode.fsType } : { kind: 'block' };
    const volume = await this.#volumes.create({ name, bytes, access, snapshotId }, scope);
    signal.throwIfAborted();
    // A journal that must be replayed is, even by a read-only mount: only what we mount ourselves must be writable.
    const path = await this.#volumes.publish(volume, name, access, mode.kind !== 'checked', scope);
    signal.throwIfAborted();
    if (mode.kind !== 'checked')
      return { readings: await readAll(path, mode.kind === 'raw' ? 'block' : 'mount', request) };
    this.#gaveDevices = true;
    return await this.#checkAndRead(path, mode.fsType, request, scope, signal);
  }

  async #checkAndRead(
    device: string,
    fsType: FsType,
    request: RestoreRequest,
    scope: CleanupScope,
    signal: AbortSignal,
  ): Promise<Restored> {
    const folder = join(this.#folder, `${request.name}.mount`);
    scope.add(`folder ${folder}`, () => removeFolder(folder));
    await mkdir(folder);
    scope.add(`mount on ${folder}`, () => unmount(folder));
    try {
      // The log of a frozen XFS is dirty on purpose (unlinked inodes): only a mount makes it fit for the check.
      if (fsType === 'xfs') {
        await mount({ source: device, target: folder, fsType, options: ['nouuid'] });
        await unmount(folder);
      }
      const found = await check(device, fsType, signal);
      const options = fsType === 'xfs' ? ['ro', 'nouuid'] : ['ro'];
      await mount({ source: device, target: folder, fsType, options });
      return { readings: await readAll(folder, 'mount', request), ...found };
    } catch (error) {
      signal.throwIfAborted();
      const text = shortened(messageOf(error));
      // The kernel's answer is a finding, also where the check gave none: e2fsck has no exit code for a lost superblock.
      if (!isRefusedMount(error)) return { readings: {}, unchecked: text };
      const reason = `can't be mounted: ${text}`;
      return { readings: { durable: reason, buffered: reason } };
    }
  }
}

async function check(
  device: string,
  fsType: FsType,
  signal: AbortSignal,
): Promise<Pick<Restored, 'unclean' | 'unchecked'>> {
  try {
    const { clean, output } = await checkFilesystem(device, fsType, signal);
    return clean ? {} : { unclean: `is not clean: ${shortened(output)}` };
  } catch (error) {
    signal.throwIfAborted();
    return { unchecked: shortened(messageOf(error)) };
  }
}

/** How to look at copies of a volume, from how the volume itself is mounted. */
export async function restoreModeOf(target: string, access: Access, folder: string): Promise<RestoreMode> {
  if (access.kind === 'block') return { kind: 'raw' };
  const table = await readMountTable();
  const entry = table.findLast(({ mountPoint }) => mountPoint === target);
  const ours = entry && asFsType(entry.fsType);
  // A bind mount of a folder has a device too, but it is not the volume's own.
  const own = entry?.source.startsWith('/dev/') && entry.devNumber !== holderOf(folder, table)?.devNumber;
  if (ours && own && (entry.root === '/' || ours === 'btrfs')) return { kind: 'checked', fsType: ours };
  const why = !entry
    ? 'the volume is no mount of its own'
    : own
      ? `it is ${entry.fsType}`
      : 'the volume has no block device';
  return { kind: 'mounted', fsType: access.fsType, why };
}

function holderOf(folder: string, table: readonly MountEntry[]): MountEntry | undefined {
  const holds = ({ mountPoint }: MountEntry) =>
    mountPoint === '/' || folder === mountPoint || folder.startsWith(`${mountPoint}/`);
  return table
    .filter(holds)
    .reduce<MountEntry | undefined>(
      (best, entry) => (best && best.mountPoint.length > entry.mountPoint.length ? best : entry),
      undefined,
    );
}

async function readAll(
  path: string,
  kind: 'mount' | 'block',
  { run, volume }: RestoreRequest,
): Promise<Restored['readings']> {
  const [durable, buffered] = await Promise.all(STREAMS.map((stream) => readOne(path, kind, { run, stream, volume })));
  return { durable: durable ?? 'not read', buffered: buffered ?? 'not read' };
}

async function readOne(root: string, kind: 'mount' | 'block', place: Place): Promise<Reading | string> {
  const { path, offset } = regionOf(root, kind, place.stream);
  try {
    await using file = await open(path, constants.O_RDONLY);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(REGION_BYTES), 0, REGION_BYTES, offset);
    return bytesRead === REGION_BYTES
      ? readRegion(buffer, place)
      : `has only ${bytesRead} bytes of ${place.stream} data`;
  } catch (error) {
    // Ours, and not the volume's.
    if (isErrno(error, 'EMFILE', 'ENFILE', 'ENOMEM')) throw error;
    return `can't be read: ${shortened(messageOf(error))}`;
  }
}

/** The end of what a command said: there it says what is wrong. */
function shortened(text: string): string {
  return text.trim().split('\n').slice(-4).join('; ').slice(-300);
}
