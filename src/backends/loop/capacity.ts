/**
 * What a pool can promise. The pool's own filesystem usually lies in a sparse file, so its free space is only as real
 * as the free space of the filesystem below.
 */
import { stat } from 'node:fs/promises';
import { type Bytes, maxBytes, minBytes } from '../../core/bytes.ts';
import { type CapacityPolicy, type PoolCapacity, poolCapacity } from '../../core/capacity.ts';
import { DriverError } from '../../core/errors.ts';
import { unlessShutDown } from '../../host/freeze.ts';
import { allocatedBytes } from '../../host/sparse-file.ts';
import { freeSpace } from '../../host/statfs.ts';

export interface PoolPlace {
  /** Folder of the pool. */
  readonly folder: string;
  /** The file that holds the pool's filesystem, when it is the driver's own. */
  readonly file?: string;
}

/** What is said of a pool in which nothing can be reached any more. */
export const SHUT_DOWN = 'the filesystem of the pool has shut down after an error';

/** It still answers for its space then. */
export async function hasShutDown({ folder }: PoolPlace): Promise<boolean> {
  return (await unlessShutDown(stat(folder))) === undefined;
}

/** @throws DriverError unavailable when the pool has shut down */
export async function measureCapacity(
  place: PoolPlace,
  policy: CapacityPolicy,
  promisedBytes: Bytes,
): Promise<PoolCapacity> {
  if (await hasShutDown(place)) throw new DriverError('unavailable', SHUT_DOWN);
  const pool = await freeSpace(place.folder);
  const usedBytes = pool.totalBytes - pool.freeBytes;
  let freeBytes = pool.freeBytes;
  if (place.file !== undefined) {
    const below = await freeSpace(place.file);
    // Blocks the file already has, and its filesystem doesn't use, are there without asking the one below.
    const slack = maxBytes(0n, (await allocatedBytes(place.file)) - usedBytes);
    freeBytes = minBytes(pool.freeBytes, below.freeBytes + slack);
  }
  return poolCapacity({ totalBytes: usedBytes + freeBytes, freeBytes }, promisedBytes, policy);
}
