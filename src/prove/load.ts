import { type Bytes, MiB, minBytes } from '../core/bytes.ts';
import type { LoadThreadData } from './load-thread.ts';
import { Thread } from './thread.ts';
import type { WriterTarget } from './writer-file.ts';

export interface LoadOptions {
  readonly targets: readonly WriterTarget[];
  readonly volumeBytes: Bytes;
  /** Over all volumes. */
  readonly bytesPerSecond: Bytes;
  readonly seed: number;
}

/** Buffered writes to all volumes beside the ordered writers, in a thread of its own. */
export class Load {
  readonly #thread: Thread;
  readonly #stop: Int32Array<SharedArrayBuffer>;

  private constructor(thread: Thread, stop: Int32Array<SharedArrayBuffer>) {
    this.#thread = thread;
    this.#stop = stop;
  }

  static async start({ targets, volumeBytes, bytesPerSecond, seed }: LoadOptions): Promise<Load> {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    // In whole MiB, a quarter of the volume: copy on write may double it, and filesystems want room too.
    const bytes = Number(minBytes((volumeBytes / 4n / MiB) * MiB, 64n * MiB));
    const data: LoadThreadData = { memory: stop.buffer, targets, bytes, bytesPerSecond: Number(bytesPerSecond), seed };
    const thread = new Thread('load-thread', 'the load', data);
    await thread.firstMessage();
    return new Load(thread, stop);
  }

  assertRunning(): void {
    this.#thread.assertRunning();
  }

  /** @throws DriverError internal when it hangs */
  async stop(): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    Atomics.notify(this.#stop, 0);
    await this.#thread.ended();
  }
}
