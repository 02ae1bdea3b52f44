/** Writers on mounted volumes that say for how long a write of theirs had to wait: what a frozen filesystem does to them. */
import { Worker } from 'node:worker_threads';
import { eventually } from './scratch.ts';
import { LEASE_MS } from './serve.ts';
import { SLOT_BYTES, type StallThreadData } from './stall-thread.ts';

interface Slot {
  readonly folder: string;
  readonly memory: Float64Array;
  /** Resolves when the thread has ended. */
  readonly ended: Promise<unknown>;
  failure?: Error;
}

/** What may be between the end of a lease and the write's return, and how much later this machine does anything. */
const AFTER_LEASE_MS = 1000;

/**
 * One thread for each folder, and one for a folder that nobody ever freezes: how long that one has to wait is what the
 * machine's load costs, and is allowed for.
 */
export class Writers implements AsyncDisposable {
  readonly #slots: readonly Slot[];
  readonly #control: Slot;

  private constructor(slots: readonly Slot[], control: Slot) {
    this.#slots = slots;
    this.#control = control;
  }

  static async start(folders: readonly string[], control: string): Promise<Writers> {
    const writers = new Writers(folders.map(begin), begin(control));
    await writers.expectWriting();
    return writers;
  }

  /** A new write to each of them returns. @throws Error when one does not */
  async expectWriting(withinMs = 30_000): Promise<void> {
    await Promise.all(
      [...this.#slots, this.#control].map(async (slot) => {
        const { folder, memory } = slot;
        const before = memory[WRITES] ?? 0;
        const returned = () => {
          if (slot.failure) throw new Error(`the writer of ${folder} failed`, { cause: slot.failure });
          return (memory[WRITES] ?? 0) > before + 1;
        };
        await eventually(`a write to ${folder} returns`, returned, withinMs);
      }),
    );
  }

  /**
   * @param ms that a wait may last; for as long as a lease unless told
   * @throws Error when somebody waited for longer, since the last look
   */
  expectNoStall(ms = LEASE_MS + AFTER_LEASE_MS): void {
    const allowed = ms + 2 * take(this.#control);
    for (const slot of this.#slots) {
      const stall = take(slot);
      if (stall > allowed) throw new Error(`a write to ${slot.folder} waited for ${stall} ms, allowed are ${allowed}`);
    }
  }

  /** The longest wait since the last look, milliseconds; of one that still waits, until now. */
  longestStall(): number {
    take(this.#control);
    return Math.max(...this.#slots.map(take));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#slots, this.#control].map(async ({ memory, ended }) => {
        memory[STOP] = 1;
        await ended;
      }),
    );
  }
}

/** Places in a thread's memory: how many writes returned, the longest wait, when the present one began, the order to stop. */
const WRITES = 0;
const LONGEST = 1;
const BEGAN = 2;
const STOP = 3;

function begin(folder: string): Slot {
  const memory = new Float64Array(new SharedArrayBuffer(SLOT_BYTES));
  const workerData: StallThreadData = { folder, memory: memory.buffer };
  const worker = new Worker(new URL('./stall-thread.ts', import.meta.url), { workerData, execArgv: [] });
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const slot: Slot = { folder, memory, ended };
  worker.once('exit', () => resolve());
  worker.once('error', (error: unknown) => {
    slot.failure = error as Error;
  });
  return slot;
}

function take({ memory }: Slot): number {
  const began = memory[BEGAN] ?? 0;
  const present = began === 0 ? 0 : performance.timeOrigin + performance.now() - began;
  const longest = Math.max(memory[LONGEST] ?? 0, present);
  memory[LONGEST] = 0;
  return longest;
}
