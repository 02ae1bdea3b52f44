import type { FsType } from '../core/volume.ts';
import { canGrowMounted, deviceBytes, filesystemBytes, growFilesystem, growUnmounted } from '../host/filesystem.ts';

/** Whether a device has room that its filesystem does not use: after an expansion, or a restore to a larger size. */
export async function hasRoomToGrow(device: string, fsType: FsType): Promise<boolean> {
  return (await filesystemBytes(device, fsType)) < (await deviceBytes(device));
}

/**
 * Before the mount: grows what can't be grown after it. Growing a mounted filesystem is quicker, but not every process
 * may do that to every type.
 */
export async function growBeforeMount(device: string, fsType: FsType, signal: AbortSignal): Promise<void> {
  if ((await hasRoomToGrow(device, fsType)) && !(await canGrowMounted(fsType))) await growUnmounted(device, signal);
}

/**
 * Grows a mounted filesystem to its device, when there is anything to grow.
 * @throws DriverError failed-precondition where this process may not
 */
export async function growMounted(device: string, fsType: FsType, mountPoint: string): Promise<void> {
  if (await hasRoomToGrow(device, fsType)) await growFilesystem(fsType, device, mountPoint);
}
