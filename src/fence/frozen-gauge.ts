import type { OpenRound } from './open-rounds.ts';

/** What to tell about fences, for metrics. */
export interface FenceObserver {
  frozenNow(members: number): void;
  leaseLost(): void;
}

/** How many members count as frozen at this moment, over all rounds of the node. */
export class FrozenGauge {
  readonly #observer: FenceObserver;
  #frozenNow = 0;

  constructor(observer: FenceObserver) {
    this.#observer = observer;
  }

  /** The round has so many frozen members now. */
  set(round: OpenRound, members: number): void {
    this.#frozenNow += members - round.frozenNow;
    round.frozenNow = members;
    this.#observer.frozenNow(this.#frozenNow);
  }
}
