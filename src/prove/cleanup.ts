import { DriverError, messageOf } from '../core/errors.ts';

interface Entry {
  readonly what: string;
  readonly undo: () => Promise<void>;
}

/**
 * Everything that was made and must be undone, whatever happens. Entries are grouped in scopes; within one, what was
 * made last is undone first.
 *
 * INVARIANT: an entry is added before the thing is made, and goes only when it was undone.
 */
export class Cleanup {
  readonly #scopes = new Set<CleanupScope>();

  scope(): CleanupScope {
    const scope = new CleanupScope(() => this.#scopes.delete(scope));
    this.#scopes.add(scope);
    return scope;
  }

  /** Undoes all that is left, the newest scope first, and goes on when something fails. @returns what failed */
  async run(): Promise<string[]> {
    const failures: string[] = [];
    for (const scope of [...this.#scopes].reverse()) failures.push(...(await scope.undoAll()));
    return failures;
  }
}

export class CleanupScope {
  readonly #entries: Entry[] = [];
  readonly #empty: () => void;

  constructor(empty: () => void) {
    this.#empty = empty;
  }

  /** To be called before the thing is made: `undo` must succeed when it never was. */
  add(what: string, undo: () => Promise<void>): void {
    this.#entries.push({ what, undo });
  }

  /**
   * Makes a thing whose name only its maker knows. When `create` fails so that nobody knows whether it was made, the
   * clean-up calls it again, idempotent as it is, to learn what to remove.
   */
  async make<T>(what: string, create: () => Promise<T>, remove: (thing: T) => Promise<void>): Promise<T> {
    const made: { thing?: T; never?: boolean } = {};
    this.add(what, async () => {
      if (!made.never) await remove(made.thing ?? (await create()));
    });
    try {
      made.thing = await create();
      return made.thing;
    } catch (error) {
      made.never = error instanceof DriverError && REFUSALS.includes(error.code);
      throw error;
    }
  }

  /**
   * Undoes all, and stops at the first failure: what is below may still be in use. What is left is tried again by
   * `Cleanup.run`. @returns what failed
   */
  async release(): Promise<string | undefined> {
    const [failure] = await this.#undo(true);
    if (this.#entries.length === 0) this.#empty();
    return failure;
  }

  /** Undoes all, and goes on when something fails. @returns what failed */
  async undoAll(): Promise<string[]> {
    const failures = await this.#undo(false);
    this.#empty();
    return failures;
  }

  async #undo(stopAtFailure: boolean): Promise<string[]> {
    const failures: string[] = [];
    const kept: Entry[] = [];
    for (let entry = this.#entries.pop(); entry; entry = this.#entries.pop()) {
      try {
        await entry.undo();
      } catch (error) {
        kept.unshift(entry);
        failures.push(`${entry.what}: ${messageOf(error)}`);
        if (stopAtFailure) break;
      }
    }
    this.#entries.push(...kept);
    return failures;
  }
}

/** Codes of a call that did nothing. */
const REFUSALS: readonly string[] = [
  'invalid-argument',
  'not-found',
  'already-exists',
  'out-of-range',
  'failed-precondition',
  'resource-exhausted',
  'unimplemented',
];
