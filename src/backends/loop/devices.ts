/** Loop devices of volumes: looked for by backing inode, never remembered (DESIGN.md, invariant 10). */
import path from 'node:path';
import type { AttachedDevice, FenceTarget } from '../../core/backend.ts';
import { notFound } from '../../core/errors.ts';
import type { VolumeId } from '../../core/ids.ts';
import type { Volume } from '../../core/volume.ts';
import { exists } from '../../host/exists.ts';
import { attachLoop, detachLoop, findLoops, type LoopDevice, resizeLoop } from '../../host/loop.ts';
import { readMountTable } from '../../host/mount-table.ts';
import type { Layout } from './layout.ts';

export class Devices {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  async of(id: VolumeId): Promise<readonly LoopDevice[]> {
    const image = this.#layout.volumeImage(id);
    if (!(await exists(image))) return [];
    return await findLoops(image);
  }

  async attach(volume: Volume, readOnly: boolean): Promise<AttachedDevice> {
    const present = (await this.of(volume.id)).find((device) => device.readOnly === readOnly);
    if (present) return present;
    const image = this.#layout.volumeImage(volume.id);
    if (!(await exists(image))) throw notFound('volume', volume.id);
    // Direct I/O wants the block size of what is below: 512 on most disks, 4096 on some (lab.md).
    const fine = await attachLoop({ path: image, readOnly, blockSize: 512, directIo: true });
    if (fine.directIo) return { ...fine, readOnly };
    await detachLoop(fine.path);
    return { ...(await attachLoop({ path: image, readOnly, blockSize: 4096, directIo: true })), readOnly };
  }

  async detach(id: VolumeId): Promise<void> {
    for (const device of await this.of(id)) await detachLoop(device.path);
  }

  async resize(id: VolumeId): Promise<void> {
    for (const device of await this.of(id)) await resizeLoop(device.path);
  }

  /**
   * Mounted: its filesystem can be frozen. Published as a block device: nothing can stop its writers. Anything else has
   * nobody who writes.
   */
  async fenceTarget(volume: Volume): Promise<FenceTarget> {
    const writable = (await this.of(volume.id)).filter((device) => !device.readOnly);
    if (writable.length === 0) return { kind: 'idle' };
    const mounts = await readMountTable();
    for (const device of writable) {
      const mounted = mounts.find((mount) => mount.devNumber === device.devNumber);
      if (mounted) {
        const { path: devicePath, devNumber, readOnly } = device;
        return {
          kind: 'filesystem',
          mountPoint: mounted.mountPoint,
          device: { path: devicePath, devNumber, readOnly },
        };
      }
    }
    const published = writable.some((device) =>
      mounts.some((mount) => mount.root === `/${path.basename(device.path)}`),
    );
    if (volume.content.kind !== 'raw' && !published) return { kind: 'idle' };
    return {
      kind: 'unfenceable',
      reason: 'a raw block volume on a loop device has no filesystem to freeze',
      advice: 'use the lvm-thin backend for raw block volumes, or a volume with a filesystem',
    };
  }
}
