import type { RoundToken } from '../core/round.ts';

/** How many members are frozen at this moment, over all that the fence of the node keeps quiet. */
export class FrozenGauge {
  readonly #show: (members: number) => void;
  readonly #frozen = new Map<RoundToken, number>();

  constructor(show: (members: number) => void) {
    this.#show = show;
  }

  /** So many members are frozen now under this token. */
  set(token: RoundToken, members: number): void {
    if (members > 0) this.#frozen.set(token, members);
    else this.#frozen.delete(token);
    this.#show([...this.#frozen.values()].reduce((sum, each) => sum + each, 0));
  }
}
