import { DriverError } from './errors.ts';

/**
 * Keyed try-locks: all keys or none, at once.
 *
 * INVARIANT: there is no await between test and set (DESIGN.md, invariant 8). Nobody ever waits for a key: a busy one
 * is `aborted`, which the CSI sidecars retry (CSI specification, "Concurrency").
 */
export class KeyedLocks {
  readonly #held = new Map<string, string>();

  /**
   * @param owner what holds the keys, for the message to whoever comes second
   * @throws DriverError aborted when any key is held
   */
  acquire(owner: string, keys: readonly string[]): Disposable {
    const wanted = new Set(keys);
    for (const key of wanted) {
      const holder = this.#held.get(key);
      if (holder !== undefined) throw new DriverError('aborted', `${holder} is still working on ${key}`);
    }
    for (const key of wanted) this.#held.set(key, owner);
    return {
      [Symbol.dispose]: () => {
        for (const key of wanted) this.#held.delete(key);
        wanted.clear();
      },
    };
  }

  get size(): number {
    return this.#held.size;
  }
}
