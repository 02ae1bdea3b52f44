/**
 * Devices of volumes: looked for by name, never remembered (docs/design.md, invariant 10). The writable one is the active
 * logical volume. The read-only one is a device of ours that shows the same thin device: LVM has one per volume.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttachedDevice, FenceTarget } from '../../core/backend.ts';
import type { Bytes } from '../../core/bytes.ts';
import { DriverError, isErrno, notFound } from '../../core/errors.ts';
import type { VolumeId } from '../../core/ids.ts';
import type { Volume } from '../../core/volume.ts';
import type { MappedDevice } from '../../host/device-mapper.ts';
import { type MountEntry, readMountTable } from '../../host/mount-table.ts';
import { thinMappedBytes, thinTable } from '../../host/thin-pool.ts';
import { volumeName } from './layout.ts';
import type { Pool } from './pool.ts';

/** Long enough for udev's probing and for somebody's last write back; short enough for an RPC. */
const DETACH_WAIT_MS = 5_000;

export class Devices {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async of(id: VolumeId): Promise<readonly AttachedDevice[]> {
    const { mapper } = this.#pool;
    const [writable, readOnly] = await Promise.all([mapper.find(this.#writable(id)), mapper.find(this.#readOnly(id))]);
    return [
      ...(writable ? [attached(writable, false)] : []), //
      ...(readOnly?.live ? [attached(readOnly, true)] : []),
    ];
  }

  async attach({ id, capacityBytes }: Volume, readOnly: boolean): Promise<AttachedDevice> {
    const present = (await this.of(id)).find((device) => device.readOnly === readOnly);
    if (present) return present;
    if (readOnly) return await this.#attachReadOnly(id, capacityBytes);
    await this.#pool.change(['lvchange', '-y', '-ay', '-K', this.#pool.lvm.pathOf(volumeName(id))]);
    const device = (await this.of(id)).find((candidate) => !candidate.readOnly);
    if (!device) throw new DriverError('internal', `volume ${id} was activated and has no device`);
    return device;
  }

  async detach(id: VolumeId): Promise<void> {
    const { mapper, lvm } = this.#pool;
    await this.#closed(this.#readOnly(id));
    await mapper.remove(this.#readOnly(id));
    if (!(await this.#closed(this.#writable(id)))) return;
    await this.#pool.change(['lvchange', '-y', '-an', lvm.pathOf(volumeName(id))]);
    if (await mapper.find(this.#writable(id))) throw new DriverError('internal', `volume ${id} is still active`);
  }

  /** After the volume has grown: LVM sees to its own device, this to ours. */
  async resize(id: VolumeId, capacityBytes: Bytes): Promise<void> {
    const { mapper } = this.#pool;
    if (!(await mapper.find(this.#readOnly(id)))) return;
    await mapper.replaceReadOnly(this.#readOnly(id), await this.#table(id, capacityBytes));
  }

  /** What a thin device occupies, shared or not, whether it is active or not. */
  async mappedBytes(thinId: number): Promise<Bytes> {
    const { mapper, lvm } = this.#pool;
    return await thinMappedBytes(mapper, await this.#pool.target(), thinId, probeName(lvm.group, thinId));
  }

  /** Its id in the pool. @throws DriverError not-found */
  async thinId(id: VolumeId): Promise<number> {
    const volume = await this.#pool.lvm.find(volumeName(id));
    if (volume?.thinId === undefined) throw notFound('volume', id);
    return volume.thinId;
  }

  async anyAttached(ids: readonly VolumeId[]): Promise<boolean> {
    const all = await Promise.all(ids.map((id) => this.of(id)));
    return all.some((devices) => devices.length > 0);
  }

  async fenceTargets(volumes: readonly Volume[]): Promise<readonly FenceTarget[]> {
    const { mapper } = this.#pool;
    const devices = await Promise.all(volumes.map(({ id }) => mapper.find(this.#writable(id))));
    const mounts = await readMountTable();
    return volumes.map((volume, i) => fenceTarget(volume, this.#writable(volume.id), devices[i], mounts));
  }

  async #attachReadOnly(id: VolumeId, capacityBytes: Bytes): Promise<AttachedDevice> {
    const table = await this.#table(id, capacityBytes);
    try {
      return attached(await this.#pool.mapper.createReadOnly(this.#readOnly(id), table), true);
    } catch (cause) {
      // Made by a call at the same time, or half made by a process that died.
      if (!isErrno(cause, 'EBUSY')) throw cause;
      return attached(await this.#pool.mapper.replaceReadOnly(this.#readOnly(id), table), true);
    }
  }

  async #table(id: VolumeId, capacityBytes: Bytes) {
    return await thinTable(this.#pool.mapper, await this.#pool.target(), await this.thinId(id), capacityBytes);
  }

  /** Waits until nobody has it open. @returns false when there is no such device */
  async #closed(name: string): Promise<boolean> {
    const deadline = performance.now() + DETACH_WAIT_MS;
    for (let pause = 1; ; pause = Math.min(pause * 2, 100)) {
      const device = await this.#pool.mapper.find(name);
      if (!device) return false;
      if (device.openCount === 0) return true;
      if (performance.now() > deadline) {
        throw new DriverError('failed-precondition', `${pathOf(device)} is still mounted, or open in another process`);
      }
      await sleep(pause);
    }
  }

  #writable(id: VolumeId): string {
    return this.#pool.lvm.deviceName(volumeName(id));
  }

  #readOnly(id: VolumeId): string {
    return readOnlyName(this.#pool.lvm.group, volumeName(id));
  }
}

/** Devices of ours that LVM knows nothing of. */
export function readOnlyName(group: string, volume: string): string {
  return `cofferdam-${group}-${volume}-ro`;
}

export function probeName(group: string, thinId: number | ''): string {
  return `cofferdam-${group}-probe-${thinId}`;
}

function attached(device: MappedDevice, readOnly: boolean): AttachedDevice {
  return { path: pathOf(device), devNumber: device.devNumber, readOnly };
}

/** The kernel's own name: it is there without udev, and it is what a bind mount of the node shows. */
function pathOf({ devNumber }: MappedDevice): string {
  return `/dev/dm-${devNumber.split(':')[1]}`;
}

/**
 * Mounted: its filesystem is frozen, then its device suspended, which a snapshot needs. Published as a block device, or
 * open to somebody else: its device is suspended. Anything else has nobody who writes.
 */
function fenceTarget(
  { content }: Volume,
  name: string,
  device: MappedDevice | undefined,
  mounts: readonly MountEntry[],
): FenceTarget {
  if (!device) return { kind: 'idle' };
  const { devNumber } = device;
  const path = pathOf(device);
  const mounted = mounts.find((mount) => mount.devNumber === devNumber);
  if (mounted) {
    const { mountPoint } = mounted;
    return {
      kind: 'fenced',
      layers: [
        { kind: 'filesystem', mountPoint, devNumber },
        { kind: 'device', name, devNumber, lockFs: false },
      ],
    };
  }
  // A block volume is published by a bind mount of the device's node: its name is the root of that mount.
  const published = mounts.some(({ root }) => `/dev${root}` === path);
  // Open, and nothing of ours: mounted where only a container sees it, for example.
  if (content.kind !== 'raw' && !published && device.openCount === 0) return { kind: 'idle' };
  return { kind: 'fenced', layers: [{ kind: 'device', name, devNumber, lockFs: true }] };
}
