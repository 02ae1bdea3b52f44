/** The thin-pool and thin targets (Linux, Documentation/admin-guide/device-mapper/thin-provisioning). */
import type { Bytes } from '../core/bytes.ts';
import { DriverError } from '../core/errors.ts';
import type { DeviceMapper, ReadOnlyTable } from './device-mapper.ts';

const SECTOR: Bytes = 512n;

export interface Usage {
  readonly used: bigint;
  readonly total: bigint;
}

export interface ThinPoolStatus {
  /** Counts the changes of the pool's metadata; LVM keeps the same number in its own. */
  readonly transactionId: bigint;
  /** In blocks of the pool's metadata, 4 KiB. */
  readonly metadata: Usage;
  /** In blocks of the pool. */
  readonly data: Usage;
  /** Size of a block of the pool. */
  readonly blockBytes: Bytes;
  /** `rw`, or what the kernel made of it after an error: `ro`, `out_of_data_space`, `fail`. */
  readonly mode: string;
  /** Its metadata may be damaged: it takes no more of it until it is repaired. */
  readonly needsCheck: boolean;
}

/** @throws DriverError data-loss when the pool has failed and has no status any more */
export async function thinPoolStatus(mapper: DeviceMapper, name: string): Promise<ThinPoolStatus> {
  const { type, text } = await mapper.targetStatus(name);
  const match = /^(\d+) (\d+)\/(\d+) (\d+)\/(\d+) \S+ (rw|ro|out_of_data_space)/.exec(text);
  if (type !== 'thin-pool' || !match) {
    throw new DriverError('data-loss', `${name} is not a thin pool that works: ${type} ${text}`);
  }
  // metadata device, data device, block size in sectors, ...
  const blockSectors = (await mapper.targetTable(name)).text.split(' ')[2];
  const [, transactionId, usedMetadata, totalMetadata, usedData, totalData, mode = ''] = match;
  const number = (digits: string | undefined) => BigInt(digits ?? 0);
  return {
    transactionId: number(transactionId),
    metadata: { used: number(usedMetadata), total: number(totalMetadata) },
    data: { used: number(usedData), total: number(totalData) },
    blockBytes: number(blockSectors) * SECTOR,
    mode,
    needsCheck: / needs_check\b/.test(text),
  };
}

/** Whether an active thin device has failed: all I/O to it does. @throws SystemError ENXIO when there is none */
export async function hasThinFailed(mapper: DeviceMapper, name: string): Promise<boolean> {
  const { type, text } = await mapper.targetStatus(name);
  return type === 'thin' && /^(Fail|Error)/.test(text);
}

/**
 * What a thin device has mapped, shared blocks too, in bytes; whether it is active or not. A device of its own is made
 * for the look: the kernel tells it of active ones only.
 * @param probe a name for that device; one of this name that a crash has left is replaced
 */
export async function thinMappedBytes(mapper: DeviceMapper, pool: string, id: number, probe: string): Promise<Bytes> {
  await mapper.remove(probe);
  await mapper.createReadOnly(probe, await thinTable(mapper, pool, id, SECTOR));
  try {
    const { type, text } = await mapper.targetStatus(probe);
    const sectors = /^(\d+)/.exec(text)?.[1];
    if (sectors === undefined) throw new DriverError('data-loss', `thin device ${id} of ${pool}: ${type} ${text}`);
    return BigInt(sectors) * SECTOR;
  } finally {
    await mapper.remove(probe);
  }
}

/** The table of a thin device of this pool; several devices may show the same one. */
export async function thinTable(mapper: DeviceMapper, pool: string, id: number, bytes: Bytes): Promise<ReadOnlyTable> {
  const found = await mapper.find(pool);
  if (!found) throw new DriverError('unavailable', `the pool ${pool} is not active`);
  return { type: 'thin', parameters: `${found.devNumber} ${id}`, bytes };
}

/** Makes a thin device of an id that is free, a snapshot of another. An origin that is active must be suspended. */
export async function createThinSnapshot(
  mapper: DeviceMapper,
  pool: string,
  id: number,
  origin: number,
): Promise<void> {
  await mapper.message(pool, `create_snap ${id} ${origin}`);
}

export async function deleteThin(mapper: DeviceMapper, pool: string, id: number): Promise<void> {
  await mapper.message(pool, `delete ${id}`);
}
