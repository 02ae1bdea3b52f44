import { DriverError } from './errors.ts';

/** What a call holds while it works. */
export interface LockClaim {
  /** What it changes: nobody else may hold these. */
  readonly exclusive: readonly string[];
  /** What must stay as it is meanwhile, such as the source of a copy: others may share these, nobody may change them. */
  readonly shared?: readonly string[];
}

interface Holding {
  readonly owner: string;
  /** How many share it; 0: held exclusively. */
  sharers: number;
}

/**
 * Keyed try-locks: all keys or none, at once.
 *
 * INVARIANT: there is no await between test and set (docs/design.md, invariant 8). Nobody ever waits for a key: a busy one
 * is `aborted`, which the CSI sidecars retry (CSI specification, "Concurrency").
 */
export class KeyedLocks {
  readonly #held = new Map<string, Holding>();

  /**
   * @param owner what holds the keys, for the message to whoever comes second
   * @throws DriverError aborted when any key is held in a way that excludes this one
   */
  acquire(owner: string, claim: LockClaim): Disposable {
    const exclusive = new Set(claim.exclusive);
    const shared = new Set(claim.shared).difference(exclusive);
    for (const key of exclusive) this.#refuseIf(key, this.#held.has(key));
    for (const key of shared) this.#refuseIf(key, this.#held.get(key)?.sharers === 0);
    for (const key of exclusive) this.#held.set(key, { owner, sharers: 0 });
    for (const key of shared) this.#share(key, owner);
    return {
      [Symbol.dispose]: () => {
        for (const key of exclusive) this.#held.delete(key);
        for (const key of shared) this.#unshare(key);
        exclusive.clear();
        shared.clear();
      },
    };
  }

  get size(): number {
    return this.#held.size;
  }

  #refuseIf(key: string, busy: boolean): void {
    if (busy) throw new DriverError('aborted', `${this.#held.get(key)?.owner} is still working on ${key}`);
  }

  #share(key: string, owner: string): void {
    const holding = this.#held.get(key);
    if (holding) holding.sharers++;
    else this.#held.set(key, { owner, sharers: 1 });
  }

  #unshare(key: string): void {
    const holding = this.#held.get(key);
    if (holding && --holding.sharers === 0) this.#held.delete(key);
  }
}
