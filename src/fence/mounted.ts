/** A mounted filesystem by what it is, not only by where: what is frozen must be what was meant. */
import type { FileHandle } from 'node:fs/promises';
import { DriverError } from '../core/errors.ts';
import { deviceNumber } from '../host/device-number.ts';
import { openForFreeze } from '../host/freeze.ts';
import { mountAt, mountsOfDevice } from '../host/mount-table.ts';

export interface MountedFilesystem {
  readonly mountPoint: string;
  /** `7:3`, of the block device below. */
  readonly devNumber: string;
}

/**
 * Opens a filesystem to freeze and thaw it by.
 * @throws DriverError failed-precondition when its mount point leads to another one: since it was looked up it was
 *   unmounted, or covered by another mount. To freeze that one instead could stop the whole node.
 */
export async function openMounted({ mountPoint, devNumber }: MountedFilesystem): Promise<FileHandle> {
  const handle = await openForFreeze(mountPoint);
  try {
    if (await isOn(handle, mountPoint, devNumber)) return handle;
    throw new DriverError('failed-precondition', `${mountPoint} no longer leads to the filesystem on ${devNumber}`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function isOn(handle: FileHandle, mountPoint: string, devNumber: string): Promise<boolean> {
  const { dev } = await handle.stat({ bigint: true });
  if (deviceNumber(dev) === devNumber) return true;
  // A file of btrfs has neither the number of its device nor that of its mount.
  const top = await mountAt(mountPoint);
  return (await mountsOfDevice(devNumber)).some(
    ({ mountId, fsType }) => mountId === top?.mountId && fsType === 'btrfs',
  );
}
