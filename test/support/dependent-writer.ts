/**
 * A writer of dependent writes: number k to volume 1, then to volume 2, ... each durable before the next is begun; then
 * k + 1. Written apart from `src/prove`, so that a mistake there does not hide here.
 */
import { Worker } from 'node:worker_threads';
import { eventually } from './scratch.ts';

export interface WriterData {
  readonly paths: readonly string[];
  /** Int32: [0] asks to stop, [1] the number being written, [2 + i] the last one acknowledged on volume i. */
  readonly state: SharedArrayBuffer;
}

export class DependentWriter implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #state: Int32Array;
  readonly #ended: Promise<number>;
  #failure: unknown;

  private constructor(paths: readonly string[]) {
    const state = new SharedArrayBuffer(4 * (2 + paths.length));
    this.#state = new Int32Array(state);
    const workerData: WriterData = { paths, state };
    this.#worker = new Worker(new URL('./dependent-writer-thread.ts', import.meta.url), { workerData, execArgv: [] });
    this.#worker.on('error', (error) => {
      this.#failure = error;
    });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', resolve));
  }

  static async start(paths: readonly string[]): Promise<DependentWriter> {
    const writer = new DependentWriter(paths);
    await writer.advance(2);
    return writer;
  }

  /** Per volume. */
  acknowledged(): readonly number[] {
    return Array.from({ length: this.#state.length - 2 }, (_, i) => Atomics.load(this.#state, 2 + i));
  }

  /** The highest number that may be anywhere. */
  begun(): number {
    return Atomics.load(this.#state, 1);
  }

  /** Resolves when so many more numbers were begun. */
  async advance(numbers: number): Promise<void> {
    const goal = this.begun() + numbers;
    await eventually(
      'the writer goes on',
      () => {
        if (this.#failure) throw this.#failure;
        return this.begun() >= goal;
      },
      60_000,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    Atomics.store(this.#state, 0, 1);
    await this.#ended;
  }
}

/** What is wrong with the numbers found on the volumes, in the writer's order; nothing when they are one instant. */
export function violationsOf(
  numbers: readonly number[],
  acknowledged: readonly number[],
  begun: number,
): readonly string[] {
  const found: string[] = [];
  const first = numbers[0] ?? 0;
  const last = numbers.at(-1) ?? 0;
  for (const [i, number] of numbers.entries()) {
    const before = numbers[i - 1];
    if (before !== undefined && number > before) found.push(`volume ${i} has ${number}, the one before it ${before}`);
    if (number < (acknowledged[i] ?? 0)) found.push(`volume ${i} has ${number}, ${acknowledged[i]} was acknowledged`);
    if (number > begun) found.push(`volume ${i} has ${number}, only ${begun} was begun`);
  }
  if (first > last + 1) found.push(`the first has ${first}, the last ${last}`);
  return found;
}
