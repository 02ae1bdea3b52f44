/**
 * A filesystem that is frozen outlives its last mount, and hangs whoever mounts it next at the first write. Only a mount
 * leads to it, so it gets one for as long as it takes to thaw it.
 */
import { mkdir, rmdir } from 'node:fs/promises';
import { asFsType } from '../core/volume.ts';
import { deviceOf, isHeld } from '../host/block-device.ts';
import { exists } from '../host/exists.ts';
import { probeSignature } from '../host/filesystem-probe.ts';
import { mount, unmount } from '../host/mount.ts';

/**
 * Does what is to be done on a mount of the device, which has none.
 * @returns undefined when nothing is frozen on it: a filesystem that is still there holds its device, and the number may
 *   be another's by now
 * @throws CommandError when it can't be mounted
 */
export async function withMountAside<T>(
  devNumber: string,
  folder: string,
  work: (mountPoint: string) => Promise<T>,
): Promise<T | undefined> {
  const device = await deviceOf(devNumber);
  if (device === undefined || !(await isHeld(device))) return undefined;
  const signature = await probeSignature(device);
  const fsType = asFsType(signature?.type);
  if (fsType === undefined) return undefined;
  await mkdir(folder, { recursive: true });
  try {
    await mount({ source: device, target: folder, fsType, options: [] });
    return await work(folder);
  } finally {
    await clearAside(folder);
  }
}

/** Takes the mount away, also one that a crash has left. @throws DriverError failed-precondition while it is in use */
export async function clearAside(folder: string): Promise<void> {
  await unmount(folder);
  if (await exists(folder)) await rmdir(folder);
}
