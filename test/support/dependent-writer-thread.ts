import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { WriterData } from './dependent-writer.ts';

const { paths, state: memory } = workerData as WriterData;
const state = new Int32Array(memory);
const block = Buffer.alloc(4096);
const fds = paths.map((path) => openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC, 0o600));
for (let number = 1; Atomics.load(state, 0) === 0; number++) {
  Atomics.store(state, 1, number);
  block.writeInt32LE(number);
  for (const [i, fd] of fds.entries()) {
    writeSync(fd, block, 0, block.length, 0);
    Atomics.store(state, 2 + i, number);
  }
}
for (const fd of fds) closeSync(fd);
