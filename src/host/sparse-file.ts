import { open, rm, stat } from 'node:fs/promises';
import type { Bytes } from '../core/bytes.ts';
import { DriverError, isErrno } from '../core/errors.ts';
import { libcFunction } from './libc.ts';

// unistd.h
const SEEK_DATA = 3;

const seek = libcFunction('lseek', 'int64_t lseek(int fd, int64_t offset, int whence)');

/**
 * Makes a new file of `bytes` zeros that takes no space. Not synced.
 * @throws Error EEXIST; DriverError out-of-range for a size the filesystem can't have
 */
export async function createSparseFile(path: string, bytes: Bytes): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(length(bytes));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Makes a file at least `bytes` long; one that is longer stays. Not synced. @returns the size it has now, in bytes */
export async function growSparseFile(path: string, bytes: Bytes): Promise<Bytes> {
  await using file = await open(path, 'r+');
  const { size } = await file.stat({ bigint: true });
  if (size >= bytes) return size;
  await file.truncate(length(bytes));
  return bytes;
}

/**
 * Makes a file at most `bytes` long, unless there is data past that. Not synced.
 * @returns false when there is: the file is as it was
 */
export async function cutEmptyTail(path: string, bytes: Bytes): Promise<boolean> {
  await using file = await open(path, 'r+');
  const { size } = await file.stat({ bigint: true });
  if (size <= bytes) return true;
  if (await hasDataFrom(file.fd, bytes)) return false;
  await file.truncate(length(bytes));
  return true;
}

async function hasDataFrom(fd: number, offset: Bytes): Promise<boolean> {
  try {
    await seek(fd, offset, SEEK_DATA);
    return true;
  } catch (error) {
    // lseek(2): no data from there to the end.
    if (isErrno(error, 'ENXIO')) return false;
    throw error;
  }
}

/** Space that a file really takes, in bytes; blocks shared with its clones count in each. */
export async function allocatedBytes(path: string): Promise<Bytes> {
  const { blocks } = await stat(path, { bigint: true });
  // st_blocks is in units of 512 bytes whatever the filesystem's blocks are: stat(2).
  return blocks * 512n;
}

function length(bytes: Bytes): number {
  // Node.js takes a number here. 8 PiB is the end of what ours hold, and far past any pool.
  if (bytes < 0n || bytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new DriverError('out-of-range', `a file can't be ${bytes} bytes long`);
  }
  return Number(bytes);
}
