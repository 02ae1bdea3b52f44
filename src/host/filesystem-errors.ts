/** What a mounted filesystem says of itself, without opening it. */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isErrno } from '../core/errors.ts';
import { unlessShutDown } from './freeze.ts';
import type { MountEntry } from './mount-table.ts';

/** Whether it has shut down after an error: all that is left to do with it is to unmount it. */
export async function hasShutDown({ mountPoint, superOptions }: MountEntry): Promise<boolean> {
  // ext4 says it there; xfs says nothing, and does not answer for its root.
  if (superOptions.includes('shutdown')) return true;
  try {
    return (await unlessShutDown(stat(mountPoint))) === undefined;
  } catch (error) {
    // Unmounted since the table was read.
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** Whether errors have made it read-only that is mounted for writing. Who mounts read-only sets both flags. */
export function hasTurnedReadOnly({ options, superOptions }: MountEntry): boolean {
  return superOptions.includes('emergency_ro') || (superOptions.includes('ro') && !options.includes('ro'));
}

/**
 * Errors that a mounted ext4 has counted on this device since its last check; 0 when there is none.
 * @param device `/dev/loop7`
 */
export async function ext4Errors(device: string): Promise<number> {
  try {
    return Number(await readFile(`/sys/fs/ext4/${basename(device)}/errors_count`, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV')) return 0;
    throw error;
  }
}
