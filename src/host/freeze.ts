import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { isErrno } from '../core/errors.ts';
import { FIFREEZE, FITHAW } from './ioctl.ts';
import { ioctl } from './libc.ts';

/**
 * Opens the root of a mounted filesystem, to freeze and thaw it by. Open it before the freeze: a descriptor at hand
 * needs no path walk, no memory and no luck when it matters. Close it when done; that thaws nothing.
 */
export function openForFreeze(mountPoint: string): Promise<FileHandle> {
  return open(mountPoint, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/**
 * Freezes a filesystem: its dirty data is written, then every write waits until the thaw. Blocks a thread meanwhile.
 * @throws SystemError EBUSY when it is frozen already, ENOTSUP when its type can't be
 */
export async function freezeFilesystem(fd: number): Promise<void> {
  await ioctl(fd, FIFREEZE, 0n);
}

/** @returns false when it was not frozen (EINVAL) */
export async function thawFilesystem(fd: number): Promise<boolean> {
  try {
    await ioctl(fd, FITHAW, 0n);
    return true;
  } catch (error) {
    if (isErrno(error, 'EINVAL')) return false;
    throw error;
  }
}

/** What comes of opening or thawing a filesystem; undefined when it has shut down: nobody can reach into it any more. */
export async function unlessShutDown<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isErrno(error, 'EIO')) return undefined;
    throw error;
  }
}
