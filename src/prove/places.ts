import { join } from 'node:path';
import { REGION_BYTES, type Stream } from './record.ts';
import type { WriterTarget } from './writer-file.ts';

/** Of a raw device: what is before may be looked at by whoever probes for filesystems. */
const FIRST_OFFSET = 1024 * 1024;
export const LOAD_OFFSET = FIRST_OFFSET + 2 * REGION_BYTES;

/**
 * Where a stream's region is: a file of a mounted volume, or a part of a raw one.
 * @param path the folder or the device
 */
export function regionOf(path: string, kind: 'mount' | 'block', stream: Stream): WriterTarget {
  return kind === 'mount'
    ? { path: join(path, `${stream}.dat`), device: false, offset: 0 }
    : { path, device: true, offset: FIRST_OFFSET + (stream === 'durable' ? 0 : REGION_BYTES) };
}
