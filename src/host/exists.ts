import { access } from 'node:fs/promises';
import { isErrno } from '../core/errors.ts';

/** Whether a path leads to something. @throws Error for what can't be looked at: that is not the same as not there */
export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}
