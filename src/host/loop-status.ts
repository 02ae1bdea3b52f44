/**
 * What the kernel says about loop devices: sysfs for which are bound, LOOP_GET_STATUS64 for what they are bound to.
 *
 * A node may have hundreds, and looks often. What can wait goes to a thread: opening and closing, and the status, for
 * which the kernel asks the filesystem of the backing file (a foreign one may hang). Attributes are answered from memory.
 */
import { constants, existsSync, readFileSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Bytes } from '../core/bytes.ts';
import { isErrno } from '../core/errors.ts';
import { run } from './exec.ts';
import { BLKGETSIZE64, LOOP_GET_STATUS64 } from './ioctl.ts';
import { ioctl, ioctlSync } from './libc.ts';

export interface LoopDevice {
  /** `/dev/loop7` */
  readonly path: string;
  /** `7:7` */
  readonly devNumber: string;
  /** As the kernel shows it now: follows renames, ends in ` (deleted)` when the file has no name any more. */
  readonly backingPath: string;
  readonly file: FileIdentity;
  readonly readOnly: boolean;
  readonly directIo: boolean;
  readonly sizeBytes: Bytes;
}

// linux/loop.h: struct loop_info64.
export const LOOP_INFO64_BYTES = 232;
export const INFO_FLAGS_OFFSET = 52;
export const INFO_FILE_NAME_OFFSET = 56;
export const INFO_FILE_NAME_BYTES = 64;
export const LO_FLAGS_READ_ONLY = 1;
export const LO_FLAGS_AUTOCLEAR = 4;
export const LO_FLAGS_DIRECT_IO = 16;

/**
 * What a backing file is known by: its st_dev and st_ino; its path where its filesystem has shut down, which then answers
 * for none of its files, neither to us nor to the kernel.
 */
export type FileIdentity = string;

/** Which backing file a device has. */
export interface Binding {
  readonly file: FileIdentity;
}

interface LoopStatus extends Binding {
  readonly flags: number;
  /** struct loop_info64 as the kernel gave it; absent where the file's filesystem has shut down. */
  readonly info?: Buffer;
}

export function identityOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): FileIdentity {
  return `${dev}:${ino}`;
}

/** @param path as sysfs has it: absolute, and without symbolic links */
export function identityByPath(path: string): FileIdentity {
  return `shut down: ${path}`;
}

export function loopPath(number: number): string {
  return `/dev/loop${number}`;
}

/** From sysfs, so without touching the device. A device that is being detached counts until it is free. */
export function isBound(number: number): boolean {
  return existsSync(`/sys/block/loop${number}/loop`);
}

/** Counts up with every new binding of the device; undefined on kernels before 5.15. */
export function diskSequence(number: number): string | undefined {
  return readSysfs(number, 'diskseq')?.trim();
}

/** Numbers of all devices that have a backing file, unless that is empty. */
export function boundNumbers(): number[] {
  // What has a size: one look, where a node may have hundreds of devices that nothing is bound to.
  const partitions = readFileSync('/proc/partitions', 'utf8');
  return [...partitions.matchAll(/ loop(\d+)$/gm)].map(([, digits]) => Number(digits)).filter(isBound);
}

/** @returns undefined when nothing is bound to it (ENXIO) */
export async function loopStatus(device: FileHandle, number: number): Promise<LoopStatus | undefined> {
  const info = Buffer.alloc(LOOP_INFO64_BYTES);
  try {
    await ioctl(device.fd, LOOP_GET_STATUS64, info);
  } catch (error) {
    if (isErrno(error, 'ENXIO')) return undefined;
    if (isErrno(error, 'EIO')) return statusBySysfs(number);
    throw error;
  }
  const file = identityOf({ dev: info.readBigUInt64LE(0), ino: info.readBigUInt64LE(8) });
  return { file, flags: info.readUInt32LE(INFO_FLAGS_OFFSET), info };
}

function statusBySysfs(number: number): LoopStatus | undefined {
  const path = backingPathOf(number);
  if (path === undefined) return undefined;
  const flag = (name: string, value: number) => (readSysfs(number, name)?.trim() === '1' ? value : 0);
  const flags =
    flag('ro', LO_FLAGS_READ_ONLY) | flag('loop/autoclear', LO_FLAGS_AUTOCLEAR) | flag('loop/dio', LO_FLAGS_DIRECT_IO);
  return { file: identityByPath(path), flags };
}

function backingPathOf(number: number): string | undefined {
  return readSysfs(number, 'loop/backing_file')?.replace(/\n$/, '');
}

/**
 * Looks at one device. Opening it keeps it from being detached for as long as this takes, so a detach elsewhere waits a
 * little (`detachLoop` does).
 * @returns undefined when it is not bound, or not to what is `wanted`
 */
export async function describeLoop(
  number: number,
  wanted: (binding: Binding) => boolean = () => true,
): Promise<LoopDevice | undefined> {
  try {
    await using device = await openLoop(number, constants.O_RDONLY);
    const status = await loopStatus(device, number);
    if (!status || !wanted(status)) return undefined;
    const size = Buffer.alloc(8);
    ioctlSync(device.fd, BLKGETSIZE64, size);
    const backingPath = backingPathOf(number);
    if (backingPath === undefined) return undefined;
    return {
      path: loopPath(number),
      devNumber: loopDevNumber(number),
      backingPath,
      file: status.file,
      readOnly: (status.flags & LO_FLAGS_READ_ONLY) !== 0,
      directIo: (status.flags & LO_FLAGS_DIRECT_IO) !== 0,
      sizeBytes: size.readBigUInt64LE(),
    };
  } catch (error) {
    // Removed or detached while we looked.
    if (isErrno(error, 'ENXIO', 'ENODEV', 'ENOENT')) return undefined;
    throw error;
  }
}

/** `7:7`; not simply the number, since the parameter loop.max_part shifts the minors. */
export function loopDevNumber(number: number): string {
  return (readSysfs(number, 'dev') ?? '').trim();
}

/** Opens the node of a device, which is made where /dev is no devtmpfs (in a container). */
export async function openLoop(number: number, flags: number): Promise<FileHandle> {
  try {
    return await open(loopPath(number), flags);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    const [major, minor] = loopDevNumber(number).split(':');
    if (!major || !minor) throw error;
    await makeNode(loopPath(number), major, minor);
    return open(loopPath(number), flags);
  }
}

export function readSysfs(number: number, name: string): string | undefined {
  try {
    return readFileSync(`/sys/block/loop${number}/${name}`, 'utf8');
  } catch (error) {
    // Attributes of a binding go away with it; a read that was under way says ENXIO, or ENODEV.
    if (isErrno(error, 'ENOENT', 'ENXIO', 'ENODEV')) return undefined;
    throw error;
  }
}

async function makeNode(path: string, major: string, minor: string): Promise<void> {
  try {
    await run(['mknod', '-m', '0660', path, 'b', major, minor]);
  } catch (error) {
    // Someone else was faster.
    if (!(await stat(path).catch(() => undefined))?.isBlockDevice()) throw error;
  }
}
