import { statfs } from 'node:fs/promises';
import type { Bytes } from '../core/bytes.ts';

export interface FreeSpace {
  readonly totalBytes: Bytes;
  /** What root can still use. */
  readonly freeBytes: Bytes;
  /** What everybody can still use: less by what the filesystem reserves for root. */
  readonly availableBytes: Bytes;
  readonly totalInodes: bigint;
  readonly freeInodes: bigint;
}

/** Space of the filesystem that holds a path, by statfs(2); works while it is frozen. */
export async function freeSpace(path: string): Promise<FreeSpace> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path, { bigint: true });
  return {
    totalBytes: blocks * bsize,
    freeBytes: bfree * bsize,
    availableBytes: bavail * bsize,
    totalInodes: files,
    freeInodes: ffree,
  };
}
