import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../core/errors.ts';
import type { WriterFacts } from './judge.ts';
import type { Order } from './orders.ts';
import type { Stream } from './record.ts';
import { Thread } from './thread.ts';
import type { WriteMode, WriterTarget } from './writer-file.ts';
import { WriterState } from './writer-state.ts';
import type { WriterReady, WriterThreadData } from './writer-thread.ts';

export interface WriterOptions {
  /** Names this run in every block. */
  readonly run: number;
  readonly stream: Stream;
  readonly targets: readonly WriterTarget[];
  readonly order: Order;
}

const POLL_MS = 2;
/** Longer than any fence may take. */
const STUCK_MS = 60_000;
/** Nothing slows a buffered writer down: without a pause it would take a whole processor from the driver. */
const BUFFERED_PAUSE_MS = 0.1;

/** What is known of a writer when a call is made. */
export interface WriterMark {
  readonly acknowledged: readonly number[];
}

/** The owner's side of an ordered writer; the writing itself is in a thread of its own (writer-thread.ts). */
export class OrderedWriter {
  readonly stream: Stream;
  readonly mode: WriteMode;
  readonly #state: WriterState;
  readonly #thread: Thread;
  readonly #orders: Map<number, Order>;

  private constructor(stream: Stream, mode: WriteMode, state: WriterState, thread: Thread, orders: Map<number, Order>) {
    this.stream = stream;
    this.mode = mode;
    this.#state = state;
    this.#thread = thread;
    this.#orders = orders;
  }

  /** Resolves when all regions are laid out on disk and writing has begun. */
  static async start({ run, stream, targets, order }: WriterOptions): Promise<OrderedWriter> {
    const state = new WriterState(targets.length);
    const orders = new Map([[state.wantOrder(order), order]]);
    const pauseMs = stream === 'buffered' ? BUFFERED_PAUSE_MS : 0;
    const data: WriterThreadData = { memory: state.memory, run, stream, targets, pauseMs };
    const thread = new Thread('writer-thread', `the ${stream} writer`, data);
    const { mode } = await thread.firstMessage<WriterReady>();
    return new OrderedWriter(stream, mode, state, thread, orders);
  }

  /** Numbers written so far, to every volume. */
  get count(): number {
    return Math.min(...this.#state.acknowledged());
  }

  /** Write times: bucket i counts those from 2^i up to 2^(i+1) microseconds. */
  get histogram(): readonly number[] {
    return this.#state.histogram();
  }

  /** Changes the order between two numbers, and resolves when it is in force and one number was written in it. */
  async useOrder(order: Order, signal: AbortSignal): Promise<void> {
    const generation = this.#state.wantOrder(order);
    this.#orders.set(generation, order);
    await this.#until(() => this.#state.appliedGeneration === generation, signal);
    await this.advance(1, signal);
  }

  /** Resolves when so many more numbers were written to every volume. */
  async advance(numbers: number, signal: AbortSignal): Promise<void> {
    const goal = this.#state.begun + numbers;
    await this.#until(() => this.count >= goal, signal);
  }

  /** To be taken right before a call. */
  mark(): WriterMark {
    return { acknowledged: this.#state.acknowledged() };
  }

  /** To be asked right after the call: what the judge must know. */
  facts({ acknowledged }: WriterMark): WriterFacts {
    return { acknowledged, begun: this.#state.begun, orders: new Map(this.#orders) };
  }

  /** The longest time between two writes that returned since this was last asked. */
  takeLongestStallMs(): number {
    return this.#state.takeLongestStallMs();
  }

  /** Ends between two numbers. @throws DriverError internal when it hangs */
  async stop(): Promise<void> {
    this.#state.stop();
    await this.#thread.ended();
  }

  async #until(done: () => boolean, signal: AbortSignal): Promise<void> {
    for (const deadline = performance.now() + STUCK_MS; !done(); ) {
      this.#thread.assertRunning();
      if (performance.now() > deadline) {
        const hint = 'is a filesystem still frozen?';
        throw new DriverError('internal', `the ${this.stream} writer has not moved for ${STUCK_MS / 1000} s: ${hint}`);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }
}
