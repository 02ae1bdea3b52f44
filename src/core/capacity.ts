import type { Bytes } from './bytes.ts';

export interface PoolCapacity {
  readonly totalBytes: Bytes;
  /** Free in the pool now, and really there: bounded by what holds the pool. */
  readonly freeBytes: Bytes;
  /** Sum of what was promised: sizes of volumes, and the space that snapshots hold. */
  readonly promisedBytes: Bytes;
  /** The largest volume that can be created now, after reserve and over-commit ratio. */
  readonly availableBytes: Bytes;
}
