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
  const file = await openLock(path);
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

/**
 * Takes a share of a lock, of which any number of open files may have one; else as `lockFile`.
 * @throws SystemError EAGAIN while somebody has all of it
 */
export async function shareLock(path: string): Promise<AsyncDisposable> {
  const file = await openLock(path);
  try {
    await flock(file.fd, 'shared');
  } catch (error) {
    await file.close();
    throw error;
  }
  return { [Symbol.asyncDispose]: () => file.close() };
}

/** Whether nobody has any of a lock. A process that was killed has it for as long as a call of it is in the kernel. */
export async function isLockFree(path: string): Promise<boolean> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    await flock(file.fd, 'exclusive');
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    if (isErrno(error, 'EAGAIN')) return false;
    throw error;
  }
}

/** No link is followed: the file may be written to. */
async function openLock(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
  return await open(path, flags, 0o600);
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
