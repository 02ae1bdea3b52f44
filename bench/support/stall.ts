import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { STALL_MICROS, STOP, type StallThreadData, WRITES, type WriterPlan } from './stall-thread.ts';

interface WriterThread {
  readonly worker: Worker;
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** Writers in threads of their own, each of which notes how long its longest write took. */
export class Writers implements AsyncDisposable {
  readonly #threads: readonly WriterThread[];

  private constructor(threads: readonly WriterThread[]) {
    this.#threads = threads;
  }

  /** Resolves when every file is laid out and is being written to. */
  static async start(plans: readonly WriterPlan[]): Promise<Writers> {
    const threads = await Promise.all(
      plans.map(async (plan) => {
        const words = new Int32Array(new SharedArrayBuffer(12));
        const workerData: StallThreadData = { ...plan, memory: words.buffer };
        const worker = new Worker(new URL('./stall-thread.ts', import.meta.url), {
          workerData,
          resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
        });
        await once(worker, 'message');
        return { worker, words };
      }),
    );
    return new Writers(threads);
  }

  /** The longest write since this was last asked, over all threads. */
  takeLongestStallMs(): number {
    return Math.max(0, ...this.#threads.map(({ words }) => Atomics.exchange(words, STALL_MICROS, 0) / 1000));
  }

  /** Writes that returned, over all threads. */
  get writes(): number {
    return this.#threads.reduce((sum, { words }) => sum + Atomics.load(words, WRITES), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#threads.map(async ({ worker, words }) => {
        const exited = once(worker, 'exit');
        Atomics.store(words, STOP, 1);
        await exited;
      }),
    );
  }
}
