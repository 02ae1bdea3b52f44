import { ASKED_AT_A_TIME } from './nodes.ts';

/**
 * How many nodes a page asks at a time. As many as it takes to fill it, if they are like those that it has seen: one alone
 * where nodes are full, so that nobody is asked for nothing; twice as many each time where they are empty, so that
 * many empty nodes take few round trips.
 */
export class LookAhead {
  #nodes = 0;
  #entries = 0;

  /** @param entries all that the node has */
  sawNode(entries: number): void {
    this.#nodes++;
    this.#entries += entries;
  }

  /** @param left entries that the page still has room for */
  width(left: number): number {
    const enough = this.#entries === 0 ? ASKED_AT_A_TIME : Math.ceil((left * this.#nodes) / this.#entries);
    return Math.max(1, Math.min(enough, this.#nodes, ASKED_AT_A_TIME));
  }
}
