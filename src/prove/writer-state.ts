import type { Order } from './orders.ts';

/** Write times are counted in buckets of powers of two: bucket i has those from 2^i up to 2^(i+1) microseconds. */
const HISTOGRAM_BUCKETS = 32;

const STOP = 0;
const WANTED = 1;
const APPLIED = 2;
const STALL_MICROS = 3;
/** Never changes: what a pause waits for. */
const NEVER = 4;
const WORDS = 5;
const BEGUN = 0;
const ACKNOWLEDGED = 1;

/**
 * What a writer's thread and its owner share. The thread is in a loop of synchronous calls, and may hang in one for as
 * long as a filesystem is frozen, so it has no event loop to take messages with; this memory is always there.
 *
 * INVARIANT: an order is written before its generation is wanted, and no other until that one was applied.
 */
export class WriterState {
  readonly memory: SharedArrayBuffer;
  readonly volumes: number;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #histogram: Int32Array<SharedArrayBuffer>;
  readonly #order: Int32Array<SharedArrayBuffer>;
  /** 64 bits each: a fast writer on a long run passes 2^31. */
  readonly #numbers: BigInt64Array<SharedArrayBuffer>;

  /** @param memory that of the other side; new when absent */
  constructor(volumes: number, memory?: SharedArrayBuffer) {
    const numbers = ACKNOWLEDGED + volumes;
    const words = WORDS + HISTOGRAM_BUCKETS + volumes;
    this.volumes = volumes;
    this.memory = memory ?? new SharedArrayBuffer(numbers * 8 + words * 4);
    this.#numbers = new BigInt64Array(this.memory, 0, numbers);
    this.#words = new Int32Array(this.memory, numbers * 8, WORDS);
    this.#histogram = new Int32Array(this.memory, (numbers * 2 + WORDS) * 4, HISTOGRAM_BUCKETS);
    this.#order = new Int32Array(this.memory, (numbers * 2 + WORDS + HISTOGRAM_BUCKETS) * 4, volumes);
  }

  // The owner's side.

  wantOrder(order: Order): number {
    for (const [i, volume] of order.entries()) Atomics.store(this.#order, i, volume);
    return Atomics.add(this.#words, WANTED, 1) + 1;
  }

  get appliedGeneration(): number {
    return Atomics.load(this.#words, APPLIED);
  }

  /** The highest number whose first write may have been made. */
  get begun(): number {
    return Number(Atomics.load(this.#numbers, BEGUN));
  }

  /** By volume: the highest number whose write has returned. */
  acknowledged(): number[] {
    return Array.from({ length: this.volumes }, (_, volume) =>
      Number(Atomics.load(this.#numbers, ACKNOWLEDGED + volume)),
    );
  }

  /** The longest time between two writes that returned since this was last asked. */
  takeLongestStallMs(): number {
    return Atomics.exchange(this.#words, STALL_MICROS, 0) / 1000;
  }

  histogram(): number[] {
    return Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => Atomics.load(this.#histogram, bucket));
  }

  stop(): void {
    Atomics.store(this.#words, STOP, 1);
  }

  // The thread's side.

  get stopped(): boolean {
    return Atomics.load(this.#words, STOP) !== 0;
  }

  get wantedGeneration(): number {
    return Atomics.load(this.#words, WANTED);
  }

  /** Takes over the order that is wanted. */
  applyOrder(): { readonly generation: number; readonly order: Order } {
    const generation = this.wantedGeneration;
    const order = Array.from({ length: this.volumes }, (_, i) => Atomics.load(this.#order, i));
    Atomics.store(this.#words, APPLIED, generation);
    return { generation, order };
  }

  begin(number: number): void {
    Atomics.store(this.#numbers, BEGUN, BigInt(number));
  }

  acknowledge(volume: number, number: number, sincePreviousMicros: number): void {
    Atomics.store(this.#numbers, ACKNOWLEDGED + volume, BigInt(number));
    const micros = Math.min(2 ** 31 - 1, Math.max(1, Math.round(sincePreviousMicros)));
    Atomics.add(this.#histogram, 31 - Math.clz32(micros), 1);
    // Only this thread raises it; the owner's exchange in between at worst is seen a write later.
    if (micros > Atomics.load(this.#words, STALL_MICROS)) Atomics.store(this.#words, STALL_MICROS, micros);
  }

  pause(ms: number): void {
    Atomics.wait(this.#words, NEVER, 0, ms);
  }
}
