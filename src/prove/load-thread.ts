/**
 * The thread that keeps the volumes busy: buffered writes of CHUNK bytes at random places of each volume in turn, at a
 * given rate, never synced: the dirty pages that make a fence hard. Started by load.ts.
 */
import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Random } from './random.ts';
import type { WriterTarget } from './writer-file.ts';

export interface LoadThreadData {
  /** One word: not 0 means stop. */
  readonly memory: SharedArrayBuffer;
  readonly targets: readonly WriterTarget[];
  /** How much of each target is written to. */
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly seed: number;
}

const CHUNK = 64 * 1024;

function load({ memory, targets, bytes, bytesPerSecond, seed }: LoadThreadData): void {
  const stop = new Int32Array(memory);
  const random = new Random(seed);
  const chunk = Buffer.alloc(CHUNK);
  using opened = new DisposableStack();
  const files = targets.map(({ path, device, offset }) => {
    const fd = openSync(path, constants.O_RDWR | (device ? 0 : constants.O_CREAT), 0o600);
    opened.defer(() => closeSync(fd));
    if (!device) ftruncateSync(fd, bytes);
    return { fd, offset };
  });
  parentPort?.postMessage('ready');

  const started = performance.now();
  for (let written = 0; Atomics.load(stop, 0) === 0; ) {
    for (const { fd, offset } of files) {
      chunk.writeUInt32LE(random.below(2 ** 32), random.below(CHUNK / 4) * 4);
      writeSync(fd, chunk, 0, CHUNK, offset + random.below(bytes / CHUNK) * CHUNK);
      written += CHUNK;
    }
    const early = (written / bytesPerSecond) * 1000 - (performance.now() - started);
    if (early > 0) Atomics.wait(stop, 0, 0, early);
  }
}

load(workerData as LoadThreadData);
