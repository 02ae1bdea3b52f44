/** One writer of stalls.ts, on a thread of its own: a write to a frozen filesystem blocks it, and nobody else. */
import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { workerData } from 'node:worker_threads';

export interface StallThreadData {
  readonly folder: string;
  readonly memory: SharedArrayBuffer;
}

export const SLOT_BYTES = 32;

const FILE_BYTES = 1 << 20;
const BLOCK_BYTES = 4096;
const PAUSE_MS = 3;

function write({ folder, memory: shared }: StallThreadData): void {
  const memory = new Float64Array(shared);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const now = () => performance.timeOrigin + performance.now();
  const block = Buffer.alloc(BLOCK_BYTES);
  const fd = openSync(path.join(folder, 'stalls'), 'w');
  for (let written = 0; memory[3] === 0; written++) {
    block.writeUInt32LE(written);
    const began = now();
    memory[2] = began;
    writeSync(fd, block, 0, BLOCK_BYTES, (written * BLOCK_BYTES) % FILE_BYTES);
    memory[2] = 0;
    memory[1] = Math.max(memory[1] ?? 0, now() - began);
    memory[0] = written + 1;
    Atomics.wait(pause, 0, 0, PAUSE_MS);
  }
  closeSync(fd);
}

if (workerData) write(workerData as StallThreadData);
