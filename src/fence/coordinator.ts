/**
 * Leads rounds over the agents (docs/design.md, "The round"; docs/adr/0005-many-nodes.md). It keeps nothing: what a round
 * came to is in the pools.
 */
import type { NodeDirectory } from '../core/node-agent.ts';
import type { CutRecord } from '../core/snapshot.ts';
import { windowOf } from './evidence.ts';
import { LedRound, type RoundRequest, type RoundStory } from './led-round.ts';

export interface RoundObserver {
  /** `windowMs`: the longest over the nodes, from the first freeze call to the last thaw return. */
  committed(story: RoundStory, records: readonly CutRecord[], windowMs: number): void;
  aborted(story: RoundStory, reason: unknown): void;
  /** Its home was asked to commit, and can't be asked what came of it: the same call again finds out. */
  undecided(story: RoundStory, reason: unknown): void;
  /** Decided, and committed on some nodes: the same call again finishes it. */
  unfinished(story: RoundStory, reason: unknown): void;
}

export class RoundCoordinator {
  readonly #directory: NodeDirectory;
  readonly #leaseMs: number;
  readonly #observer: RoundObserver;

  constructor(directory: NodeDirectory, leaseMs: number, observer: RoundObserver) {
    this.#directory = directory;
    this.#leaseMs = leaseMs;
    this.#observer = observer;
  }

  /**
   * @returns the committed record of every node
   * @throws DriverError whatever made the round fail; then it left nothing behind. `unavailable` also when a node can't be
   *   asked whether it has committed: the same call again finds out, and finishes it
   */
  async run(request: RoundRequest, signal: AbortSignal): Promise<readonly CutRecord[]> {
    const round = new LedRound(request, this.#directory, this.#leaseMs, signal);
    const ending = await round.lead();
    const { records, failure, story } = round;
    if (ending !== 'committed') this.#observer[ending](story, failure);
    else if (failure !== undefined) this.#observer.unfinished(story, failure);
    else this.#observer.committed(story, records, windowOf(records));
    if (failure !== undefined) throw failure;
    return records;
  }
}
