/**
 * A lock that many may share or one may have alone, first come, first served: who waits to have it alone is not overtaken
 * by those who would share it.
 */
export class ReadWriteLock {
  #sharers = 0;
  #alone = false;
  readonly #queue: { readonly alone: boolean; readonly grant: () => void }[] = [];

  /** Resolves when it is shared; dispose of what it resolves to, once. */
  async share(): Promise<Disposable> {
    await this.#wait(false);
    return this.#held(() => this.#sharers--);
  }

  /** Resolves when nobody else has it; dispose of what it resolves to, once. */
  async alone(): Promise<Disposable> {
    await this.#wait(true);
    return this.#held(() => {
      this.#alone = false;
    });
  }

  async #wait(alone: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push({ alone, grant: resolve });
    this.#next();
    await promise;
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
