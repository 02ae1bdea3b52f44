import { closeSync, constants, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from '../core/errors.ts';
import { BLOCK_BYTES, REGION_BYTES, type Stream } from './record.ts';

/** Where a stream's region of one volume is. */
export interface WriterTarget {
  /** A file that is made when missing, or a block device. */
  readonly path: string;
  readonly device: boolean;
  /** Where the region begins, bytes. */
  readonly offset: number;
}

/** How a write is made durable before it counts; `none` leaves it to the page cache. */
export type WriteMode = 'O_DIRECT|O_DSYNC' | 'write+fdatasync' | 'none';

/** Node.js has it; TypeScript's declarations of it come only with those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

const ZEROS = alignedBuffer(64 * 1024);

/** Memory at a page boundary, as O_DIRECT wants it. A Buffer may lie anywhere; the memory of WebAssembly may not. */
export function alignedBuffer(bytes: number): Buffer {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65_536) });
  return Buffer.from(memory.buffer, 0, bytes);
}

/** One open region; every call is synchronous and may hang as long as the filesystem is frozen. */
export class WriterFile implements Disposable {
  readonly mode: WriteMode;
  readonly #fd: number;
  readonly #offset: number;

  /** Opens the region and fills it with zeros, on disk when this returns. */
  constructor({ path, device, offset }: WriterTarget, stream: Stream) {
    this.#offset = offset;
    const create = device ? 0 : constants.O_CREAT;
    this.#fd = openSync(path, constants.O_RDWR | create, 0o600);
    try {
      // Through the page cache: the file gets its blocks and its size here, so that later writes change nothing else.
      for (let at = 0; at < REGION_BYTES; at += ZEROS.length) this.#writeAll(this.#fd, ZEROS, offset + at);
      fsyncSync(this.#fd);
      if (!device) syncFolder(dirname(path));
      const direct = stream === 'durable' ? openDirect(path, offset) : undefined;
      this.mode = stream === 'buffered' ? 'none' : direct === undefined ? 'write+fdatasync' : 'O_DIRECT|O_DSYNC';
      if (direct !== undefined) {
        closeSync(this.#fd);
        this.#fd = direct;
      }
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** Writes one block of the region; durable when this returns, unless the mode is `none`. */
  write(block: Buffer, at: number): void {
    this.#writeAll(this.#fd, block, this.#offset + at);
    if (this.mode === 'write+fdatasync') fdatasyncSync(this.#fd);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #writeAll(fd: number, buffer: Buffer, position: number): void {
    const written = writeSync(fd, buffer, 0, buffer.length, position);
    if (written !== buffer.length) throw new Error(`only ${written} of ${buffer.length} bytes were written`);
  }
}

/** @returns undefined where the file, or its device, takes no direct I/O in our blocks */
function openDirect(path: string, offset: number): number | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_DIRECT | constants.O_DSYNC);
    // Alignment is only checked by a write.
    writeSync(fd, ZEROS, 0, BLOCK_BYTES, offset);
    return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (isErrno(error, 'EINVAL', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
