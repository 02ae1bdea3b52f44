import { mkdir } from 'node:fs/promises';
import path from 'node:path';

/** Where sockets are unless told otherwise. */
export const RUN_FOLDER = '/run/cofferdam';

/**
 * Makes the folder of a socket when that is our own below /run, which is empty after every boot. Any other must be there:
 * a misspelt path is an error.
 */
export async function makeRunFolder(socket: string): Promise<void> {
  if (path.dirname(socket) === RUN_FOLDER) await mkdir(RUN_FOLDER, { recursive: true, mode: 0o700 });
}
