import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { DriverError } from '../core/errors.ts';
import { moduleFile } from '../core/module-file.ts';

const STOP_LIMIT_MS = 30_000;

/** A thread that does blocking work until it is told to stop, by memory that it shares with its owner. */
export class Thread {
  readonly #worker: Worker;
  readonly #name: string;
  readonly #exited: Promise<unknown>;
  #ended = false;
  #failure: unknown;

  /** @param module name of a file beside this one, without its ending */
  constructor(module: string, name: string, workerData: object) {
    this.#name = name;
    this.#worker = new Worker(moduleFile(`prove/${module}`), { workerData, name });
    this.#worker.on('error', (error: unknown) => {
      this.#failure = error;
    });
    this.#exited = once(this.#worker, 'exit').then(
      () => {
        this.#ended = true;
      },
      () => {
        this.#ended = true;
      },
    );
  }

  /** The first message of the thread. @throws DriverError internal when it ends without one */
  async firstMessage<T>(): Promise<T> {
    const answer = await Promise.race([
      new Promise<{ readonly message: T }>((resolve) =>
        this.#worker.once('message', (message: T) => resolve({ message })),
      ),
      this.#exited,
    ]);
    if (!answer) throw this.#broken();
    return (answer as { readonly message: T }).message;
  }

  /** @throws DriverError internal when the thread has ended: nobody told it to */
  assertRunning(): void {
    if (this.#ended || this.#failure) throw this.#broken();
  }

  /**
   * Waits until the thread has ended, after it was told to stop. One that had failed has ended too.
   * @throws DriverError internal when it hangs
   */
  async ended(): Promise<void> {
    const limit = new AbortController();
    try {
      await Promise.race([this.#exited, sleep(STOP_LIMIT_MS, undefined, { signal: limit.signal })]);
    } finally {
      limit.abort();
    }
    if (!this.#ended) {
      // A thread in a frozen filesystem can't be ended by anything; let it not keep the process alive when it can.
      this.#worker.unref();
      throw new DriverError('internal', `${this.#name} hangs in a write: is a filesystem still frozen?`);
    }
  }

  #broken(): DriverError {
    return new DriverError('internal', `${this.#name} failed`, { cause: this.#failure });
  }
}
