/**
 * The thread of one ordered writer: writes 1 to every volume in the order in force, then 2, and so on, each write done
 * before the next starts, until it is told to stop. Started by writer.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { BLOCK_BYTES, fillRecord, type Stream, slotOffset } from './record.ts';
import { alignedBuffer, type WriteMode, WriterFile, type WriterTarget } from './writer-file.ts';
import { WriterState } from './writer-state.ts';

export interface WriterThreadData {
  readonly memory: SharedArrayBuffer;
  readonly run: number;
  readonly stream: Stream;
  readonly targets: readonly WriterTarget[];
  /** After each write, for a writer that nothing slows down: it shall leave the processors to others. */
  readonly pauseMs: number;
}

/** The one message: all files are open, writing begins. */
export interface WriterReady {
  readonly mode: WriteMode;
}

function write({ memory, run, stream, targets, pauseMs }: WriterThreadData): void {
  using files = new DisposableStack();
  const opened = targets.map((target) => files.use(new WriterFile(target, stream)));
  const state = new WriterState(targets.length, memory);
  const bytes = alignedBuffer(BLOCK_BYTES);
  const block = new Uint32Array(bytes.buffer, 0, BLOCK_BYTES / 4);

  const ready: WriterReady = { mode: weakest(opened.map(({ mode }) => mode)) };
  parentPort?.postMessage(ready);

  let { generation, order } = state.applyOrder();
  let previous = process.hrtime.bigint();
  for (let number = 1; !state.stopped; number++) {
    // Only here, between two whole numbers, may the order change: else no reader could tell which one was in force.
    if (state.wantedGeneration !== generation) ({ generation, order } = state.applyOrder());
    state.begin(number);
    for (const volume of order) {
      fillRecord(block, { run, stream, volume }, number, generation);
      opened[volume]?.write(bytes, slotOffset(number));
      const now = process.hrtime.bigint();
      state.acknowledge(volume, number, Number(now - previous) / 1000);
      previous = now;
      if (pauseMs > 0) state.pause(pauseMs);
    }
  }
}

function weakest(modes: readonly WriteMode[]): WriteMode {
  return modes.find((mode) => mode !== 'O_DIRECT|O_DSYNC') ?? 'O_DIRECT|O_DSYNC';
}

write(workerData as WriterThreadData);
