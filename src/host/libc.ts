/**
 * libc by koffi: what Node.js has no function for. Everything that can block runs on a thread of libuv's pool, so that
 * it never stops the event loop; a process that makes many such calls at once must set UV_THREADPOOL_SIZE.
 */
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

// koffi refuses calls beyond its queue, 256 unless told, which a look at all loop devices of a node exceeds; waiting calls
// cost only their place. It can be told once in a process, whereas jest loads this module for each test file.
const MAX_ASYNC_CALLS = 4096;
if (koffi.config().max_async_calls !== MAX_ASYNC_CALLS) koffi.config({ max_async_calls: MAX_ASYNC_CALLS });

// Null: what is already loaded into this process, be it glibc or musl.
const libc = koffi.load(null);

// Declared without `...`: koffi has no asynchronous calls of variadic functions, and on the 64-bit Linux ABIs that
// Node.js runs on, the three arguments of ioctl travel in the same registers either way.
const ioctlWithPointer = libc.func('int ioctl(int fd, unsigned long request, void *arg)');
const ioctlWithNumber = libc.func('int ioctl(int fd, unsigned long request, int64_t arg)');
const libcSyncfs = libc.func('int syncfs(int fd)');
const libcFlock = libc.func('int flock(int fd, int operation)');
type Foreign = ReturnType<typeof libc.func>;

/** Like the errors of node:fs: `code` is `EBUSY`, `errno` is negative. */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/**
 * ioctl(2) on a thread of libuv's pool.
 * @param arg a buffer that the kernel reads or writes, or a plain number, or nothing
 * @throws SystemError
 */
export function ioctl(fd: number, request: number, arg: Buffer | bigint | null): Promise<number> {
  return onThread(typeof arg === 'bigint' ? ioctlWithNumber : ioctlWithPointer, 'ioctl', [fd, request, arg]);
}

/** ioctl(2) right here: only for calls that can't block, or in a process that has nothing else to do. */
export function ioctlSync(fd: number, request: number, arg: Buffer | bigint | null): number {
  const call = typeof arg === 'bigint' ? ioctlWithNumber : ioctlWithPointer;
  const result: number = call(fd, request, arg);
  if (result < 0) throw systemError('ioctl', koffi.errno());
  return result;
}

/** Writes back everything dirty in the filesystem that holds the open file, and waits. @throws SystemError */
export async function syncfs(fd: number): Promise<void> {
  await onThread(libcSyncfs, 'syncfs', [fd]);
}

const FLOCK = { shared: 1, exclusive: 2, unlock: 8 } as const;
const LOCK_NB = 4;

/** flock(2), never waiting. @throws SystemError EAGAIN when another open file holds the lock */
export async function flock(fd: number, mode: keyof typeof FLOCK): Promise<void> {
  await onThread(libcFlock, 'flock', [fd, FLOCK[mode] | LOCK_NB]);
}

/**
 * A function of libc by its C declaration. @param name of the system call, for the error
 * @returns a function that runs it on a thread of libuv's pool; a negative result is thrown as SystemError
 */
export function libcFunction(name: string, declaration: string): (...args: readonly unknown[]) => Promise<number> {
  const call = libc.func(declaration);
  return (...args) => onThread(call, name, args);
}

function onThread(call: Foreign, name: string, args: readonly unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (failure: unknown, result: number) => {
      // koffi puts the thread's errno in place for the length of this callback only. Naming `args` here also keeps a
      // buffer argument alive while the kernel writes to it.
      const errno = koffi.errno();
      if (failure) reject(new Error(`${name}(${args.length} arguments) could not be called`, { cause: failure }));
      else if (result < 0) reject(systemError(name, errno));
      else resolve(result);
    });
  });
}

function systemError(syscall: string, errno: number): SystemError {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall });
}
