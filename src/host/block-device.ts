import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { isErrno } from '../core/errors.ts';

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
