import type { RoundToken } from '../core/round.ts';

/** A message of a round may be late by its deadline, a minute or so; rounds take a tenth of a second at least. */
const REMEMBERED = 4096;

/** The rounds that ended last: none of them may begin again, whatever message comes late. */
export class EndedRounds {
  /** In the order in which they ended. */
  readonly #tokens = new Set<RoundToken>();

  add(token: RoundToken): void {
    this.#tokens.delete(token);
    this.#tokens.add(token);
    for (const oldest of this.#tokens) {
      if (this.#tokens.size <= REMEMBERED) break;
      this.#tokens.delete(oldest);
    }
  }

  has(token: RoundToken): boolean {
    return this.#tokens.has(token);
  }
}
