import { access } from 'node:fs/promises';

/** Whether a path leads to something. What can't be looked at counts as not there. */
export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
