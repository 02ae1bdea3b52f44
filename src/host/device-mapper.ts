/**
 * Device-mapper by its ioctls (linux/dm-ioctl.h), for what LVM has no command for or is too slow for. Devices are named
 * as device-mapper names them; every call blocks a thread and never the event loop.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import type { Bytes } from '../core/bytes.ts';
import { DriverError, isErrno } from '../core/errors.ts';
import { deviceNumber } from './device-number.ts';
import {
  DM_DEV_CREATE,
  DM_DEV_REMOVE,
  DM_DEV_STATUS,
  DM_DEV_SUSPEND,
  DM_TABLE_LOAD,
  DM_TABLE_STATUS,
  DM_TARGET_MSG,
} from './ioctl.ts';
import { ioctl } from './libc.ts';

const CONTROL = '/dev/mapper/control';

/** struct dm_ioctl: what is at which byte. */
const HEADER = {
  version: 0,
  dataSize: 12,
  dataStart: 16,
  targetCount: 20,
  openCount: 24,
  flags: 28,
  dev: 40,
  name: 48,
  bytes: 312,
} as const;
const NAME_BYTES = 127;

const FLAG = {
  readOnly: 1 << 0,
  suspend: 1 << 1,
  statusTable: 1 << 4,
  activePresent: 1 << 5,
  bufferFull: 1 << 8,
  skipLockFs: 1 << 10,
} as const;

/** struct dm_target_spec, in front of each target's text. */
const TARGET = { start: 0, length: 8, type: 24, typeBytes: 16, bytes: 40 } as const;
/** Our devices have one target, whose status is a line. */
const STATUS_BYTES = 4096;
const SECTOR: Bytes = 512n;

export interface MappedDevice {
  /** `253:4` */
  readonly devNumber: string;
  readonly suspended: boolean;
  /** It has a table; one whose maker died before it gave it one has none. */
  readonly live: boolean;
  /** By how many it is held open: mounts, programs, other devices. */
  readonly openCount: number;
}

/** A device that is one target from its start to its end. */
export interface ReadOnlyTable {
  readonly type: string;
  /** What the target wants to know, as in dmsetup(8). */
  readonly parameters: string;
  readonly bytes: Bytes;
}

export interface TargetStatus {
  /** `thin`, `thin-pool`, `linear` */
  readonly type: string;
  /** As the target prints it (Linux, Documentation/admin-guide/device-mapper). */
  readonly text: string;
}

interface CallOptions {
  readonly flags?: number;
  readonly data?: Buffer;
  /** How many there are in `data`. */
  readonly targets?: number;
}

export class DeviceMapper implements AsyncDisposable {
  readonly #control: FileHandle;

  private constructor(control: FileHandle) {
    this.#control = control;
  }

  /** @throws DriverError failed-precondition where the kernel has no device-mapper */
  static async open(): Promise<DeviceMapper> {
    try {
      return new DeviceMapper(await open(CONTROL, constants.O_RDWR));
    } catch (cause) {
      if (!isErrno(cause, 'ENOENT', 'ENODEV')) throw cause;
      const reason = `${CONTROL} is missing: this kernel has no device-mapper, or its module dm_mod is not loaded`;
      throw new DriverError('failed-precondition', reason, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#control.close();
  }

  /** Undefined when there is no such device. */
  async find(name: string): Promise<MappedDevice | undefined> {
    try {
      return describe(await this.#call(DM_DEV_STATUS, name));
    } catch (error) {
      if (isErrno(error, 'ENXIO')) return undefined;
      throw error;
    }
  }

  /**
   * Stops a device: what is under way is completed, whatever comes waits for `resume`. Suspending what is suspended
   * succeeds.
   * @param lockFs freeze a filesystem that is on it first; EBUSY when somebody else has
   */
  async suspend(name: string, { lockFs }: { readonly lockFs: boolean }): Promise<void> {
    await this.#call(DM_DEV_SUSPEND, name, { flags: FLAG.suspend | (lockFs ? 0 : FLAG.skipLockFs) });
  }

  /** @returns false when it was not suspended */
  async resume(name: string): Promise<boolean> {
    const { suspended } = describe(await this.#call(DM_DEV_STATUS, name));
    await this.#call(DM_DEV_SUSPEND, name);
    return suspended;
  }

  /** Tells the target of a device something, such as `create_snap 7 3`. @throws SystemError what the target answers */
  async message(name: string, text: string): Promise<void> {
    // struct dm_target_msg: the sector, whose target is meant, and the text.
    await this.#call(DM_TARGET_MSG, name, { data: Buffer.concat([Buffer.alloc(8), Buffer.from(`${text}\0`)]) });
  }

  /** The status of the one target that the device has. */
  async targetStatus(name: string): Promise<TargetStatus> {
    return await this.#target(name, 0);
  }

  /** How the one target of the device was set up. */
  async targetTable(name: string): Promise<TargetStatus> {
    return await this.#target(name, FLAG.statusTable);
  }

  async #target(name: string, flags: number): Promise<TargetStatus> {
    const reply = await this.#call(DM_TABLE_STATUS, name, { flags, data: Buffer.alloc(STATUS_BYTES) });
    if (reply.readUInt32LE(HEADER.flags) & FLAG.bufferFull || reply.readUInt32LE(HEADER.targetCount) !== 1) {
      throw new DriverError('internal', `the status of ${name} is not that of one target`);
    }
    const target = reply.subarray(reply.readUInt32LE(HEADER.dataStart));
    return {
      type: text(target.subarray(TARGET.type, TARGET.type + TARGET.typeBytes)),
      text: text(target.subarray(TARGET.bytes)).trim(),
    };
  }

  /** Makes a read-only device. @throws SystemError EBUSY when there is one of this name */
  async createReadOnly(name: string, table: ReadOnlyTable): Promise<MappedDevice> {
    await this.#call(DM_DEV_CREATE, name);
    try {
      return await this.replaceReadOnly(name, table);
    } catch (error) {
      await this.remove(name);
      throw error;
    }
  }

  /** Gives a read-only device another table, such as a larger one. */
  async replaceReadOnly(name: string, { type, parameters, bytes }: ReadOnlyTable): Promise<MappedDevice> {
    const target = Buffer.alloc(TARGET.bytes);
    target.writeBigUInt64LE(bytes / SECTOR, TARGET.length);
    target.write(type, TARGET.type);
    const data = Buffer.concat([target, Buffer.from(`${parameters}\0`)]);
    await this.#call(DM_TABLE_LOAD, name, { flags: FLAG.readOnly, data, targets: 1 });
    return describe(await this.#call(DM_DEV_SUSPEND, name)); // resumes, which is when the new table counts
  }

  /** @returns false when there was none @throws SystemError EBUSY when it is open */
  async remove(name: string): Promise<boolean> {
    try {
      await this.#call(DM_DEV_REMOVE, name);
      return true;
    } catch (error) {
      if (isErrno(error, 'ENXIO')) return false;
      throw error;
    }
  }

  async #call(
    request: number,
    name: string,
    { flags = 0, data = Buffer.alloc(0), targets = 0 }: CallOptions = {},
  ): Promise<Buffer> {
    const bytes = Buffer.concat([Buffer.alloc(HEADER.bytes), data]);
    bytes.writeUInt32LE(4, HEADER.version); // 4.0.0, the least that has all of this
    bytes.writeUInt32LE(bytes.length, HEADER.dataSize);
    bytes.writeUInt32LE(HEADER.bytes, HEADER.dataStart);
    bytes.writeUInt32LE(targets, HEADER.targetCount);
    bytes.writeUInt32LE(flags, HEADER.flags);
    if (Buffer.byteLength(name) > NAME_BYTES) throw new DriverError('internal', `${name} is too long for a device`);
    bytes.write(name, HEADER.name);
    await ioctl(this.#control.fd, request, bytes);
    return bytes;
  }
}

function describe(reply: Buffer): MappedDevice {
  const flags = reply.readUInt32LE(HEADER.flags);
  return {
    devNumber: deviceNumber(reply.readBigUInt64LE(HEADER.dev)),
    suspended: (flags & FLAG.suspend) !== 0,
    live: (flags & FLAG.activePresent) !== 0,
    openCount: reply.readInt32LE(HEADER.openCount),
  };
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

/** Every device there is, from sysfs. */
export async function listMapped(): Promise<readonly { readonly name: string; readonly suspended: boolean }[]> {
  const devices = (await readdir('/sys/block')).filter((name) => name.startsWith('dm-'));
  const found = await Promise.all(
    devices.map(async (device) => {
      const read = (file: string) => readFile(`/sys/block/${device}/dm/${file}`, 'utf8').catch(() => '');
      return { name: (await read('name')).trim(), suspended: (await read('suspended')).trim() === '1' };
    }),
  );
  // One that has just gone has no name.
  return found.filter(({ name }) => name !== '');
}
