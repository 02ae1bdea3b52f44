/**
 * A lock that many may share or one may have alone, first come, first served: who waits to have it alone is not overtaken
 * by those who would share it.
 */

export interface HeldAlone extends Disposable {
  /** Lets others share it, and nobody have it alone in between. Dispose of what it returns, instead of this. */
  share(): Disposable;
}

interface Waiting {
  readonly alone: boolean;
  readonly grant: () => void;
}

export class ReadWriteLock {
  #sharers = 0;
  #alone = false;
  readonly #queue: Waiting[] = [];

  /** Resolves when it is shared; dispose of what it resolves to, once. @throws as `alone` */
  async share(signal?: AbortSignal): Promise<Disposable> {
    await this.#wait(false, signal);
    return this.#held(() => this.#sharers--);
  }

  /** Resolves when nobody else has it; dispose of what it resolves to, once. @throws the signal's reason when it fires first */
  async alone(signal?: AbortSignal): Promise<HeldAlone> {
    await this.#wait(true, signal);
    const held = this.#held(() => {
      this.#alone = false;
    });
    const share = () => {
      this.#sharers++;
      held[Symbol.dispose]();
      return this.#held(() => this.#sharers--);
    };
    return { ...held, share };
  }

  async #wait(alone: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { alone, grant: resolve };
    this.#queue.push(waiting);
    this.#next();
    const leave = () => {
      const place = this.#queue.indexOf(waiting);
      if (place < 0) return; // it is granted
      this.#queue.splice(place, 1);
      reject(signal?.reason);
      this.#next();
    };
    signal?.addEventListener('abort', leave);
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }

  #held(release: () => void): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        release();
        this.#next();
      },
    };
  }

  #next(): void {
    for (;;) {
      const [first] = this.#queue;
      if (!first || this.#alone || (first.alone && this.#sharers > 0)) return;
      this.#queue.shift();
      if (first.alone) this.#alone = true;
      else this.#sharers++;
      first.grant();
    }
  }
}
