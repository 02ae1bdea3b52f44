import { setTimeout as sleep } from 'node:timers/promises';

/** The calls that a server is working on, also those whose caller has gone. */
export class InFlightCalls {
  readonly #calls = new Map<AbortController, Promise<void>>();

  /** @param done never rejects */
  add(controller: AbortController, done: Promise<void>): void {
    this.#calls.set(controller, done);
    void done.finally(() => this.#calls.delete(controller));
  }

  has(controller: AbortController): boolean {
    return this.#calls.has(controller);
  }

  get count(): number {
    return this.#calls.size;
  }

  /** Fires the signal of every call. */
  abort(reason: Error): void {
    for (const controller of this.#calls.keys()) controller.abort(reason);
  }

  /** Resolves when all are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#calls.values());
  }

  /** @returns true when all were done before `ms` milliseconds had passed */
  async settledWithin(ms: number): Promise<boolean> {
    if (this.#calls.size === 0) return true;
    using timer = timeout(ms);
    return await Promise.race([this.settled().then(() => true), timer.expired.then(() => false)]);
  }
}

function timeout(ms: number): Disposable & { readonly expired: Promise<unknown> } {
  const controller = new AbortController();
  const expired = sleep(ms, undefined, { signal: controller.signal }).catch(() => undefined);
  return { expired, [Symbol.dispose]: () => controller.abort() };
}
