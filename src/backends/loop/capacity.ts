/**
 * What a pool can promise. The pool's own filesystem usually lies in a sparse file, so its free space is only as real
 * as the free space of the filesystem below.
 */
import { type Bytes, maxBytes, minBytes } from '../../core/bytes.ts';
import { type CapacityPolicy, type PoolCapacity, poolCapacity } from '../../core/capacity.ts';
import { allocatedBytes } from '../../host/sparse-file.ts';
import { freeSpace } from '../../host/statfs.ts';

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
  return poolCapacity({ totalBytes: usedBytes + freeBytes, freeBytes }, promisedBytes, policy);
}
