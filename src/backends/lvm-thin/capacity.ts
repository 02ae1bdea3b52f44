/** What a pool can promise. A thin pool has two ways to be full: of data, and of metadata. */
import type { Bytes } from '../../core/bytes.ts';
import { type CapacityPolicy, type PoolCapacity, poolCapacity } from '../../core/capacity.ts';
import type { Pool } from './pool.ts';

/** Past this share of its metadata, percent, a pool makes nothing new: a pool without metadata left turns read-only. */
const METADATA_LIMIT_PERCENT = 85n;

export async function measureCapacity(pool: Pool, policy: CapacityPolicy, promised: Bytes): Promise<PoolCapacity> {
  const { data, metadata, mode, blockBytes } = await pool.status();
  const totalBytes = data.total * blockBytes;
  const freeBytes = totalBytes - data.used * blockBytes;
  const metadataUsedShare = Number(metadata.used) / Number(metadata.total);
  const capacity = { ...poolCapacity({ totalBytes, freeBytes }, promised, policy), metadataUsedShare };
  const usable = mode === 'rw' && metadata.used * 100n < metadata.total * METADATA_LIMIT_PERCENT;
  return usable ? capacity : { ...capacity, availableBytes: 0n };
}
