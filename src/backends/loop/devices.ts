/** Loop devices of volumes: looked for by backing inode, never remembered (docs/design.md, invariant 10). */
import path from 'node:path';
import type { AttachedDevice, FenceTarget } from '../../core/backend.ts';
import { notFound } from '../../core/errors.ts';
import type { VolumeId } from '../../core/ids.ts';
import type { Logger } from '../../core/observe.ts';
import type { Volume } from '../../core/volume.ts';
import { isHeld } from '../../host/block-device.ts';
import { exists } from '../../host/exists.ts';
import {
  type AttachedLoop,
  attachLoop,
  detachLoop,
  findLoops,
  findLoopsOf,
  keepLoop,
  type LoopDevice,
  resizeLoop,
} from '../../host/loop.ts';
import { type MountEntry, readMountTable } from '../../host/mount-table.ts';
import { cutEmptyTail } from '../../host/sparse-file.ts';
import type { Layout } from './layout.ts';

/**
 * The logical block size of every volume, from its first attachment to its last. Not 512: an image that shares extents
 * with a snapshot takes direct I/O in blocks of the filesystem only (Linux, xfs_file_dio_write), and a disk must not
 * change its block size on the way, or the partition table of a raw volume is lost.
 */
const BLOCK_BYTES = 4096;

/** For the log. */
export const BUFFERED =
  'the kernel does no direct I/O on a loop device: what is in it is cached twice, and syncs are slower';

export class Devices {
  readonly #layout: Layout;
  readonly #log: Logger | undefined;
  /** Whose buffered devices the log has told of. */
  readonly #told = new Set<VolumeId>();

  /** @param log absent for whoever only looks */
  constructor(layout: Layout, log?: Logger) {
    this.#layout = layout;
    this.#log = log;
  }

  async of(id: VolumeId): Promise<readonly LoopDevice[]> {
    return await findLoops(this.#layout.volumeImage(id));
  }

  async attach(volume: Volume, readOnly: boolean): Promise<AttachedDevice> {
    const found = (await this.of(volume.id)).find((device) => device.readOnly === readOnly);
    // One that is about to be detached would take another volume's image next.
    const present = found && (await keepLoop(found.path, found)) ? found : undefined;
    const device = present ?? { ...(await this.#attachNew(volume, readOnly)), readOnly };
    if (!device.directIo) this.#tellOfBuffer(volume.id, device.path);
    return device;
  }

  async #attachNew({ id, capacityBytes }: Volume, readOnly: boolean): Promise<AttachedLoop> {
    const image = this.#layout.volumeImage(id);
    if (!(await exists(image))) throw notFound('volume', id);
    // Longer than its record after an expansion that was not recorded: a filesystem would grow into what nobody has.
    if (!(await cutEmptyTail(image, capacityBytes))) {
      this.#log?.warn({ volume: id, image }, 'an image is longer than its volume, and has data there');
    }
    return await attachLoop({ path: image, readOnly, blockSize: BLOCK_BYTES, directIo: true });
  }

  /** The kernel falls back to buffered without a word; everything else works the same, so it is only said, and once. */
  #tellOfBuffer(volume: VolumeId, device: string): void {
    if (this.#told.has(volume)) return;
    this.#told.add(volume);
    this.#log?.warn({ volume, device }, BUFFERED);
  }

  async detach(id: VolumeId): Promise<void> {
    for (const device of await this.of(id)) await detachLoop(device.path, undefined, device);
  }

  async resize(id: VolumeId): Promise<void> {
    for (const device of await this.of(id)) await resizeLoop(device.path);
  }

  async anyAttached(ids: readonly VolumeId[]): Promise<boolean> {
    return (await this.ofAll(ids)).some((devices) => devices.length > 0);
  }

  async fenceTargets(volumes: readonly Volume[]): Promise<readonly FenceTarget[]> {
    const devices = await this.ofAll(volumes.map(({ id }) => id));
    const mounts = devices.some((own) => own.length > 0) ? await readMountTable() : [];
    return await Promise.all(volumes.map((volume, i) => fenceTarget(volume, devices[i] ?? [], mounts)));
  }

  /** One look at all loop devices of the node, whatever the number of volumes. */
  async ofAll(ids: readonly VolumeId[]): Promise<readonly (readonly LoopDevice[])[]> {
    return await findLoopsOf(ids.map((id) => this.#layout.volumeImage(id)));
  }
}

/**
 * Mounted: its filesystem can be frozen. Published as a block device: nothing can stop its writers. Anything else has
 * nobody who writes.
 */
async function fenceTarget(
  volume: Volume,
  devices: readonly LoopDevice[],
  mounts: readonly MountEntry[],
): Promise<FenceTarget> {
  const writable = devices.filter((device) => !device.readOnly);
  for (const { devNumber } of writable) {
    const mounted = mounts.find((mount) => mount.devNumber === devNumber);
    if (mounted) {
      return { kind: 'fenced', layers: [{ kind: 'filesystem', mountPoint: mounted.mountPoint, devNumber }] };
    }
  }
  // A block volume is published by a bind mount of the device's node: its name is the root of that mount.
  const names = new Set(writable.map((device) => path.basename(device.path)));
  const published = mounts.some((mount) => names.has(path.basename(mount.root)));
  const raw = writable.length > 0 && volume.content.kind === 'raw';
  // Mounted where this process can't see it, or held by another driver of the kernel.
  const held = (await Promise.all(writable.map((device) => isHeld(device.path)))).some(Boolean);
  if (!raw && !published && !held) return { kind: 'idle' };
  return {
    kind: 'unfenceable',
    reason: 'a raw block volume on a loop device has no filesystem to freeze',
    advice: 'use the lvm-thin backend for raw block volumes, or a volume with a filesystem',
  };
}
