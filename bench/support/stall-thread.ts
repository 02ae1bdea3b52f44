/** One writer: buffered writes, file after file, each file from its start to its end and again. Started by stall.ts. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

export interface WriterPlan {
  /** Files that one thread writes to in turn. */
  readonly files: readonly string[];
  readonly fileBytes: number;
  readonly chunkBytes: number;
  /** Between two writes. */
  readonly pauseMs: number;
}

/** Words of the memory that is shared with the owner. */
export const STOP = 0;
export const STALL_MICROS = 1;
export const WRITES = 2;

export type StallThreadData = WriterPlan & { readonly memory: SharedArrayBuffer };

function write({ memory, files, fileBytes, chunkBytes, pauseMs }: StallThreadData): void {
  const words = new Int32Array(memory);
  const chunk = Buffer.alloc(chunkBytes, 1);
  using opened = new DisposableStack();
  const descriptors = files.map((file) => {
    const fd = openSync(file, 'w', 0o600);
    opened.defer(() => closeSync(fd));
    for (let offset = 0; offset < fileBytes; offset += chunkBytes) writeSync(fd, chunk, 0, chunkBytes, offset);
    fsyncSync(fd);
    return fd;
  });
  parentPort?.postMessage('ready');

  let due = performance.now();
  for (let offset = 0; Atomics.load(words, STOP) === 0; offset = (offset + chunkBytes) % fileBytes) {
    for (const fd of descriptors) {
      const start = performance.now();
      writeSync(fd, chunk, 0, chunkBytes, offset);
      const now = performance.now();
      const micros = Math.round((now - start) * 1000);
      if (micros > Atomics.load(words, STALL_MICROS)) Atomics.store(words, STALL_MICROS, micros);
      Atomics.add(words, WRITES, 1);
      // What a stall cost is not made up for: that would be a burst no program asked for.
      due = Math.max(due + pauseMs, now);
      if (due > now) Atomics.wait(words, STOP, 0, due - now);
    }
  }
}

if (!isMainThread) write(workerData as StallThreadData);
