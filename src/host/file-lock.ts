import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { DriverError, isErrno } from '../core/errors.ts';
import { flock } from './libc.ts';

/**
 * Takes the one lock of a data folder, by flock(2) on a file that is made when missing and never removed. The kernel
 * lets go of it when the process ends, however it ends; a child process does not inherit it.
 * @throws DriverError failed-precondition when another process holds it, or this one does already
 */
export async function lockFile(path: string): Promise<AsyncDisposable> {
  // No link is followed: the file is written to.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600);
  try {
    await flock(file.fd, 'exclusive');
    await writePid(file);
  } catch (error) {
    const holder = isErrno(error, 'EAGAIN') ? (await file.readFile('utf8')).trim() : undefined;
    await file.close();
    if (holder === undefined) throw error;
    const who = holder === '' ? '' : ` (pid ${holder})`;
    throw new DriverError('failed-precondition', `another cofferdam serves this data folder${who}`, { cause: error });
  }
  return { [Symbol.asyncDispose]: () => file.close() };
}

/** Only for the message to whoever comes second: a disk without room for it is no reason not to start. */
async function writePid(file: FileHandle): Promise<void> {
  try {
    await file.truncate(0);
    await file.appendFile(`${process.pid}\n`);
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
  }
}
