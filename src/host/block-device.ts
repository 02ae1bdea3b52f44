import { constants } from 'node:fs';
import { open, readlink } from 'node:fs/promises';
import path from 'node:path';
import { isErrno } from '../core/errors.ts';

/** The device file of a block device, by its number (`7:3`). Undefined when there is no such device. */
export async function deviceOf(devNumber: string): Promise<string | undefined> {
  try {
    return path.join('/dev', path.basename(await readlink(`/sys/dev/block/${devNumber}`)));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * Whether the kernel holds a block device for itself: mounted, in whichever mount namespace, or part of another device
 * (open(2), O_EXCL on a block device).
 */
export async function isHeld(device: string): Promise<boolean> {
  try {
    await using _ = await open(device, constants.O_RDONLY | constants.O_EXCL);
    return false;
  } catch (error) {
    if (isErrno(error, 'EBUSY')) return true;
    throw error;
  }
}
