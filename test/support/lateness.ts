import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scratch } from './scratch.ts';

const BEAT_MS = 25;

/**
 * How late this machine is: by how much a short sleep and a small durable write, over and over, took too long. A test that
 * holds somebody to a deadline allows for it, so that it fails for being wrong and never for being slow.
 */
export class Lateness implements AsyncDisposable {
  #worstMs = 0;
  readonly #stop = new AbortController();
  readonly #beating: Promise<void>;

  private constructor(file: string) {
    this.#beating = this.#beat(file);
  }

  static watch(scratch: Scratch): Lateness {
    return new Lateness(scratch.path('heartbeat'));
  }

  /** The worst so far, milliseconds. */
  get worstMs(): number {
    return this.#worstMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#beating;
  }

  async #beat(path: string): Promise<void> {
    await using file = await open(path, 'w');
    while (!this.#stop.signal.aborted) {
      const start = performance.now();
      await sleep(BEAT_MS);
      await file.write('beat', 0);
      await file.datasync();
      this.#worstMs = Math.max(this.#worstMs, performance.now() - start - BEAT_MS);
    }
  }
}
