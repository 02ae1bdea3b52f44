import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError, isErrno } from '../core/errors.ts';
import { LOOP_CONFIGURE, LOOP_CTL_ADD, LOOP_CTL_GET_FREE } from './ioctl.ts';
import { ioctl } from './libc.ts';
import {
  INFO_FILE_NAME_BYTES,
  INFO_FILE_NAME_OFFSET,
  INFO_FLAGS_OFFSET,
  isBound,
  LO_FLAGS_DIRECT_IO,
  LO_FLAGS_READ_ONLY,
  LOOP_INFO64_BYTES,
  loopDevNumber,
  loopPath,
  openLoop,
  readSysfs,
} from './loop-status.ts';

export interface AttachOptions {
  readonly path: string;
  readonly readOnly: boolean;
  /** Logical block size of the device. Below what the pool's own device has, direct I/O is not possible. */
  readonly blockSize: 512 | 4096;
  readonly directIo: boolean;
}

export interface AttachedLoop {
  /** `/dev/loop7` */
  readonly path: string;
  /** `7:7` */
  readonly devNumber: string;
  /** Whether direct I/O is really on: the kernel falls back to buffered without a word. */
  readonly directIo: boolean;
}

// Each failed attempt means that someone else attached something: this many in a row is no race any more.
const ATTEMPTS = 64;

/** Numbers that this process is binding right now: in parallel all would be told the same free one. */
const claimed = new Set<number>();

/**
 * Binds a file to a free loop device (LOOP_CONFIGURE: one step, so nobody sees it half configured). Not remembered
 * anywhere: `findLoops` finds it again.
 * @throws Error ENOENT, EACCES for the file; DriverError unavailable when no device can be had
 */
export async function attachLoop(options: AttachOptions): Promise<AttachedLoop> {
  const access = options.readOnly ? constants.O_RDONLY : constants.O_RDWR;
  await using backing = await open(options.path, access);
  await using control = await open('/dev/loop-control', constants.O_RDWR);
  const config = loopConfig(backing.fd, options);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    using claim = await claimNumber(control);
    if (await configure(claim.number, access, config)) return describe(claim.number);
    await sleep(Math.random() * Math.min(2 ** attempt, 50));
  }
  throw new DriverError('unavailable', `no loop device could be had for ${options.path}: others take every free one`);
}

interface Claim extends Disposable {
  readonly number: number;
}

async function claimNumber(control: FileHandle): Promise<Claim> {
  let number = await ioctl(control.fd, LOOP_CTL_GET_FREE, null);
  if (claimed.has(number)) {
    while (claimed.has(number) || isBound(number)) number++;
    // No await since the test: it is ours now.
    claimed.add(number);
    await addDevice(control, number);
  }
  claimed.add(number);
  return { number, [Symbol.dispose]: () => claimed.delete(number) };
}

async function addDevice(control: FileHandle, number: number): Promise<void> {
  try {
    await ioctl(control.fd, LOOP_CTL_ADD, BigInt(number));
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    claimed.delete(number);
    throw error;
  }
}

/** @returns false when someone else has bound the device first */
async function configure(number: number, access: number, config: Buffer): Promise<boolean> {
  try {
    await using device = await openLoop(number, access);
    await ioctl(device.fd, LOOP_CONFIGURE, config);
    return true;
  } catch (error) {
    // ENXIO and the like: removed between the look and the open.
    if (isErrno(error, 'EBUSY', 'ENXIO', 'ENODEV', 'ENOENT')) return false;
    throw error;
  }
}

function describe(number: number): AttachedLoop {
  const directIo = readSysfs(number, 'loop/dio')?.trim() === '1';
  return { path: loopPath(number), devNumber: loopDevNumber(number), directIo };
}

/** linux/loop.h: struct loop_config. */
function loopConfig(fd: number, { path, readOnly, blockSize, directIo }: AttachOptions): Buffer {
  const info = Buffer.alloc(LOOP_INFO64_BYTES);
  info.writeUInt32LE((readOnly ? LO_FLAGS_READ_ONLY : 0) | (directIo ? LO_FLAGS_DIRECT_IO : 0), INFO_FLAGS_OFFSET);
  // Shown by losetup, and read by nobody else; the last byte stays zero.
  info.write(path, INFO_FILE_NAME_OFFSET, INFO_FILE_NAME_BYTES - 1);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(fd, 0);
  head.writeUInt32LE(blockSize, 4);
  return Buffer.concat([head, info, Buffer.alloc(64)]);
}
