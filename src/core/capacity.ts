import { type Bytes, formatBytes, maxBytes, minBytes } from './bytes.ts';
import { DriverError } from './errors.ts';

export interface PoolCapacity {
  readonly totalBytes: Bytes;
  /** Free in the pool now, and really there: bounded by what holds the pool. */
  readonly freeBytes: Bytes;
  /** Sum of what was promised: sizes of volumes, and the space that snapshots hold. */
  readonly promisedBytes: Bytes;
  /** The largest volume that can be created now, after reserve and over-commit ratio. */
  readonly availableBytes: Bytes;
  /** How much of the pool's metadata is used, 0 to 1, where that can run out by itself. */
  readonly metadataUsedShare?: number;
}

export interface CapacityPolicy {
  /** Promise at most so many times what the pool holds. 1: never more than there is. */
  readonly overcommitRatio: number;
  /** Share of the pool, in percent, that is never promised; below it nothing new is made. */
  readonly reservePercent: number;
}

/** What a pool of this size can still promise. */
export function poolCapacity(
  { totalBytes, freeBytes }: Pick<PoolCapacity, 'totalBytes' | 'freeBytes'>,
  promisedBytes: Bytes,
  policy: CapacityPolicy,
): PoolCapacity {
  const reserveBytes = (totalBytes * BigInt(Math.round(policy.reservePercent * 100))) / 10_000n;
  const overcommit = (bytes: Bytes) => (bytes * BigInt(Math.round(policy.overcommitRatio * 100))) / 100n;
  // Not more than the ratio over what is free: what others keep in the pool, and its own metadata, are nobody's promise.
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
