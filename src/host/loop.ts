import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancelled, DriverError, isErrno } from '../core/errors.ts';
import { LOOP_CLR_FD, LOOP_SET_CAPACITY, LOOP_SET_STATUS64 } from './ioctl.ts';
import { ioctl } from './libc.ts';
import {
  type Binding,
  boundNumbers,
  describeLoop,
  diskSequence,
  type FileIdentity,
  INFO_FLAGS_OFFSET,
  identityByPath,
  identityOf,
  isBound,
  LO_FLAGS_AUTOCLEAR,
  type LoopDevice,
  loopDevNumber,
  loopPath,
  loopStatus,
  openLoop,
  readSysfs,
} from './loop-status.ts';
import { mountsOfDevice } from './mount-table.ts';

export { type AttachedLoop, type AttachOptions, attachLoop } from './loop-attach.ts';
export type { Binding, LoopDevice } from './loop-status.ts';

// Long enough for udev's probing and for somebody's last write back; short enough for an RPC.
const DETACH_WAIT_MS = 5_000;
const LOOK_AT_ONCE = 64;

/** Every loop device that has a backing file, also those of other programs. */
export async function listLoops(): Promise<LoopDevice[]> {
  return describeAll();
}

/**
 * The loop devices whose backing file is this one, by device and inode: found after a rename, and under any path. None
 * when the file does not exist. Where its filesystem has shut down, by its path, which must be without symbolic links.
 */
export async function findLoops(backingPath: string): Promise<readonly LoopDevice[]> {
  const [found = []] = await findLoopsOf([backingPath]);
  return found;
}

/** The same of many files, in their order, with one look at the devices. */
export async function findLoopsOf(backingPaths: readonly string[]): Promise<readonly (readonly LoopDevice[])[]> {
  const files = await Promise.all(backingPaths.map(identify));
  const wanted = new Set(files);
  const loops = Map.groupBy(await describeAll(({ file }) => wanted.has(file)), ({ file }) => file);
  return files.map((file) => (file === undefined ? [] : (loops.get(file) ?? [])));
}

/**
 * Detaches a loop device and sees to it that it really is: the kernel answers success and detaches later when someone
 * has it open. A device that is not attached succeeds.
 * @param expected detach only what is bound to this file; a device that meanwhile got another one is left alone
 * @throws DriverError failed-precondition when it is mounted, or still open elsewhere after a few seconds: it then stays
 *   attached, as it was; cancelled when the signal fires while waiting
 */
export async function detachLoop(devicePath: string, signal?: AbortSignal, expected?: Binding): Promise<void> {
  const number = loopNumber(devicePath);
  const binding = await clear(number, expected);
  if (!binding) return;
  const deadline = performance.now() + DETACH_WAIT_MS;
  for (let pause = 1; stillBound(number, binding); pause = Math.min(pause * 2, 100)) {
    if (signal?.aborted || performance.now() > deadline) {
      if (await keepLoop(devicePath, binding)) throw refused(devicePath, signal);
      return;
    }
    await sleep(pause);
  }
}

/**
 * Loop devices whose backing file has no name any more, by the path that it had; `/dev/loop7` each. By what sysfs says:
 * none is opened.
 */
export function loopsOfDeleted(): ReadonlyMap<string, readonly string[]> {
  const found = boundNumbers().flatMap((number) => {
    const file = / \(deleted\)\n$/.exec(readSysfs(number, 'loop/backing_file') ?? '');
    return file ? [{ file: file.input.slice(0, file.index), device: loopPath(number) }] : [];
  });
  const byFile = Map.groupBy(found, ({ file }) => file);
  return new Map([...byFile].map(([file, loops]) => [file, loops.map(({ device }) => device)]));
}

/** Tells the device that its backing file has grown (LOOP_SET_CAPACITY); works while it is mounted. */
export async function resizeLoop(devicePath: string): Promise<void> {
  await using device = await openLoop(loopNumber(devicePath), constants.O_RDWR);
  await ioctl(device.fd, LOOP_SET_CAPACITY, 0n);
}

interface Cleared extends Binding {
  readonly sequence: string | undefined;
}

/** Asks the kernel to detach. @returns what to wait for; undefined when there is nothing to do */
async function clear(number: number, expected: Binding | undefined): Promise<Cleared | undefined> {
  if (!isBound(number)) return undefined;
  try {
    // Held open from the look to the act: what is open can't be bound to another file meanwhile.
    await using device = await openLoop(number, constants.O_RDONLY);
    const status = await loopStatus(device, number);
    if (!status || (expected && status.file !== expected.file)) return undefined;
    const sequence = diskSequence(number);
    const [mounted] = await mountsOfDevice(loopDevNumber(number));
    if (mounted) {
      throw new DriverError('failed-precondition', `/dev/loop${number} is mounted on ${mounted.mountPoint}`);
    }
    await ioctl(device.fd, LOOP_CLR_FD, 0n);
    return { file: status.file, sequence };
  } catch (error) {
    // Someone else detached it.
    if (isErrno(error, 'ENXIO', 'ENOENT', 'ENODEV')) return undefined;
    throw error;
  }
}

/** Looks through sysfs only: opening the device would itself put off the detach. */
function stillBound(number: number, { sequence }: Cleared): boolean {
  return isBound(number) && (sequence === undefined || diskSequence(number) === sequence);
}

/**
 * Takes back a detach that is pending until nobody has the device open any more, ours or that of a process that died
 * while it waited. @returns false when it is not bound to this file any more
 */
export async function keepLoop(devicePath: string, expected: Binding): Promise<boolean> {
  const number = loopNumber(devicePath);
  try {
    await using device = await openLoop(number, constants.O_RDONLY);
    const status = await loopStatus(device, number);
    if (status?.file !== expected.file) return false;
    if ((status.flags & LO_FLAGS_AUTOCLEAR) === 0) return true;
    // Its file's filesystem has shut down: let it go.
    if (!status.info) return false;
    status.info.writeUInt32LE(status.flags & ~LO_FLAGS_AUTOCLEAR, INFO_FLAGS_OFFSET);
    await ioctl(device.fd, LOOP_SET_STATUS64, status.info);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENXIO', 'ENOENT', 'ENODEV')) return false;
    throw error;
  }
}

function refused(devicePath: string, signal: AbortSignal | undefined): DriverError {
  return signal?.aborted
    ? cancelled(`detaching ${devicePath}`, signal)
    : new DriverError('failed-precondition', `${devicePath} is still open in another process`);
}

/** Undefined when the file does not exist. */
async function identify(path: string): Promise<FileIdentity | undefined> {
  try {
    return identityOf(await stat(path, { bigint: true }));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    if (isErrno(error, 'EIO')) return identityByPath(path);
    throw error;
  }
}

async function describeAll(wanted?: (binding: Binding) => boolean): Promise<LoopDevice[]> {
  const numbers = boundNumbers();
  const found: (LoopDevice | undefined)[] = [];
  // In batches: the threads are for everybody, and the calls of koffi are limited.
  for (let start = 0; start < numbers.length; start += LOOK_AT_ONCE) {
    const batch = numbers.slice(start, start + LOOK_AT_ONCE);
    found.push(...(await Promise.all(batch.map((number) => describeLoop(number, wanted)))));
  }
  return found.filter((device) => device !== undefined);
}

function loopNumber(devicePath: string): number {
  const digits = /^\/dev\/loop(\d+)$/.exec(devicePath)?.[1];
  if (digits === undefined) throw new DriverError('internal', `${devicePath} is no loop device`);
  return Number(digits);
}
