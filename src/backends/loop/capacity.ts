/**
 * What a pool can promise. The pool's own filesystem usually lies in a sparse file, so its free space is only as real
 * as the free space of the filesystem below.
 */
import { type Bytes, formatBytes, maxBytes, minBytes } from '../../core/bytes.ts';
import type { PoolCapacity } from '../../core/capacity.ts';
import { DriverError } from '../../core/errors.ts';
import { allocatedBytes } from '../../host/sparse-file.ts';
import { freeSpace } from '../../host/statfs.ts';

export interface CapacityPolicy {
  /** Promise at most so many times what the pool holds. 1: never more than there is. */
  readonly overcommitRatio: number;
  /** Share of the pool, in percent, that is never promised; below it nothing new is made. */
  readonly reservePercent: number;
}

export interface PoolPlace {
  /** Folder of the pool. */
  readonly folder: string;
  /** The file that holds the pool's filesystem, when it is the driver's own. */
  readonly file?: string;
}

export async function measureCapacity(
  place: PoolPlace,
  policy: CapacityPolicy,
  promisedBytes: Bytes,
): Promise<PoolCapacity> {
  const pool = await freeSpace(place.folder);
  const usedBytes = pool.totalBytes - pool.freeBytes;
  let freeBytes = pool.freeBytes;
  if (place.file !== undefined) {
    const below = await freeSpace(place.file);
    // Blocks the file already has, and its filesystem doesn't use, are there without asking the one below.
    const slack = maxBytes(0n, (await allocatedBytes(place.file)) - usedBytes);
    freeBytes = minBytes(pool.freeBytes, below.freeBytes + slack);
  }
  const totalBytes = usedBytes + freeBytes;
  const reserveBytes = (totalBytes * BigInt(Math.round(policy.reservePercent * 100))) / 10_000n;
  const overcommit = (bytes: Bytes) => (bytes * BigInt(Math.round(policy.overcommitRatio * 100))) / 100n;
  // Not more than the ratio over what is free: other files of a shared filesystem, and its own metadata, are nobody's promise.
  const unpromisedBytes = minBytes(
    overcommit(totalBytes - reserveBytes) - promisedBytes,
    overcommit(freeBytes - reserveBytes),
  );
  const availableBytes = freeBytes <= reserveBytes ? 0n : maxBytes(0n, unpromisedBytes);
  return { totalBytes, freeBytes, promisedBytes, availableBytes };
}

/** @throws DriverError resource-exhausted with the numbers when `wantedBytes` more can't be promised */
export function assertPromisable(capacity: PoolCapacity, wantedBytes: Bytes, what: string): void {
  if (wantedBytes <= capacity.availableBytes && capacity.availableBytes > 0n) return;
  throw new DriverError(
    'resource-exhausted',
    `${what} needs ${formatBytes(wantedBytes)}; the pool can promise ${formatBytes(capacity.availableBytes)} more ` +
      `(${formatBytes(capacity.freeBytes)} of ${formatBytes(capacity.totalBytes)} free, ` +
      `${formatBytes(capacity.promisedBytes)} promised)`,
  );
}
