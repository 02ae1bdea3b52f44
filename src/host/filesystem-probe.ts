import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Bytes } from '../core/bytes.ts';
import { DriverError } from '../core/errors.ts';
import type { FsType } from '../core/volume.ts';
import { CommandError, run } from './exec.ts';

export interface Signature {
  /** `ext4`, `xfs`, ..., or the kind of partition table (`gpt`). */
  readonly type: string;
  readonly uuid?: string;
}

const BLKID_NOTHING = 2;
const BLKID_AMBIVALENT = 8;

/**
 * What blkid(8) finds on a device by looking at the device itself, never at its cache.
 * @returns undefined when it carries no signature that blkid knows
 * @throws DriverError failed-precondition when several contradict each other; Error when it can't be read
 */
export async function probeSignature(device: string): Promise<Signature | undefined> {
  // blkid says 2 for "nothing found" and for "can't be opened" alike: find out about the second first.
  await readAt(device, 0, 4096);
  const { stdout, exitCode } = await blkid(device);
  if (exitCode === BLKID_NOTHING) return undefined;
  const found = new Map(stdout.split('\n').map((line) => splitOnce(line, '=')));
  const uuid = found.get('UUID') ?? found.get('PTUUID');
  return { type: found.get('TYPE') ?? found.get('PTTYPE') ?? 'unknown', ...(uuid && { uuid }) };
}

/**
 * The size that a filesystem says it has, in bytes, from its superblock on the device. Of a mounted xfs it may be what
 * it was at the last unmount: the superblock is written from a cache of its own.
 * @throws DriverError data-loss when there is no such filesystem
 */
export async function filesystemBytes(device: string, fsType: FsType): Promise<Bytes> {
  switch (fsType) {
    case 'ext4': {
      // struct ext4_super_block, at 1024.
      const block = await readAt(device, 1024, 1024);
      if (block.readUInt16LE(0x38) !== 0xef53) throw noSuperblock(device, fsType);
      const is64bit = (block.readUInt32LE(0x60) & 0x80) !== 0;
      const high = is64bit ? BigInt(block.readUInt32LE(0x150)) : 0n;
      const blocks = (high << 32n) | BigInt(block.readUInt32LE(0x4));
      return blocks << BigInt(10 + block.readUInt32LE(0x18));
    }
    case 'xfs': {
      // struct xfs_dsb, big-endian, at 0.
      const block = await readAt(device, 0, 512);
      if (block.toString('latin1', 0, 4) !== 'XFSB') throw noSuperblock(device, fsType);
      return block.readBigUInt64BE(8) * BigInt(block.readUInt32BE(4));
    }
    case 'btrfs': {
      // struct btrfs_super_block, at 64 KiB; total_bytes is the sum over its devices, and ours have one.
      const block = await readAt(device, 65536, 4096);
      if (block.toString('latin1', 0x40, 0x48) !== '_BHRfS_M') throw noSuperblock(device, fsType);
      return block.readBigUInt64LE(0x70);
    }
  }
}

async function blkid(device: string): Promise<{ readonly stdout: string; readonly exitCode: number }> {
  try {
    return await run(['blkid', '-p', '-o', 'export', device], { okCodes: [0, BLKID_NOTHING] });
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === BLKID_AMBIVALENT) {
      const reason = `${device} carries signatures that contradict each other`;
      throw new DriverError('failed-precondition', reason, { cause: error });
    }
    throw error;
  }
}

async function readAt(device: string, position: number, length: number): Promise<Buffer> {
  await using file = await open(device, constants.O_RDONLY);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw new DriverError('data-loss', `${device} ends before byte ${position + length}`);
  return buffer;
}

function noSuperblock(device: string, fsType: FsType): DriverError {
  return new DriverError('data-loss', `${device} has no superblock of ${fsType}`);
}

function splitOnce(line: string, separator: string): readonly [string, string] {
  const at = line.indexOf(separator);
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
}
