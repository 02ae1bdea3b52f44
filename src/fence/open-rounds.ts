/** The rounds under way on this node, and those that ended last. */
import type { FenceTarget } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import { DriverError } from '../core/errors.ts';
import type { Decision, RoundPlan, RoundToken } from '../core/round.ts';
import { EndedRounds } from './ended-rounds.ts';
import type { FenceSession } from './fence-session.ts';
import { type NodeRoundEvent, type NodeRoundState, nextState, obeys, settle } from './round-state.ts';
import { silenceLimitMs } from './signs-of-life.ts';

export interface OpenRound {
  readonly plan: RoundPlan;
  readonly targets: readonly FenceTarget[];
  readonly session: FenceSession | undefined;
  /** Locks of the members; held until the cut is sealed. */
  readonly volumeLocks: Disposable;
  /** Locks of the group and the snapshots, so that nothing else takes their names; held until the round is over. */
  readonly nameLocks: Disposable;
  state: NodeRoundState;
  /** When it came to its state, or last heard that its coordinator waits, `Clock.monotonicMs`. */
  movedAtMs: number;
  freezeStartedMs: number;
  frozenAtMs: readonly number[];
  expiry?: NodeJS.Timeout;
  /** The cut, from its start until it is sealed or has failed: what is under way must not be undone. */
  cutting?: Promise<unknown>;
}

export class OpenRounds {
  readonly #clock: Clock;
  readonly #rounds = new Map<RoundToken, OpenRound>();
  readonly #preparing = new Map<RoundToken, Promise<unknown>>();
  readonly #turns = new Map<RoundToken, Promise<unknown>>();
  readonly #ended = new EndedRounds();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(token: RoundToken): OpenRound | undefined {
    return this.#rounds.get(token);
  }

  tokens(): Iterable<RoundToken> {
    return this.#rounds.keys();
  }

  /**
   * A round that begins. What is ended while it is being prepared is undone by `prepare`.
   * @throws DriverError aborted when it has begun, or ended, before
   */
  async begin<T>(token: RoundToken, prepare: () => Promise<T>): Promise<T> {
    if (this.#rounds.has(token) || this.#preparing.has(token)) {
      throw new DriverError('aborted', `round ${token} is prepared already`);
    }
    this.assertNotEnded(token);
    const prepared = prepare();
    this.#preparing.set(token, prepared);
    try {
      return await prepared;
    } finally {
      this.#preparing.delete(token);
    }
  }

  add(token: RoundToken, round: OpenRound): void {
    this.#rounds.set(token, round);
  }

  /** From here on it can't begin any more. Resolves when nothing of it is being prepared. */
  async end(token: RoundToken): Promise<void> {
    this.#ended.add(token);
    await this.#preparing.get(token)?.catch(() => undefined);
  }

  /** @throws DriverError aborted */
  assertNotEnded(token: RoundToken): void {
    if (this.#ended.has(token)) throw new DriverError('aborted', `round ${token} has ended`);
  }

  forget(token: RoundToken): void {
    const round = this.#rounds.get(token);
    clearTimeout(round?.expiry);
    round?.volumeLocks[Symbol.dispose]();
    round?.nameLocks[Symbol.dispose]();
    this.#rounds.delete(token);
    this.#ended.add(token);
  }

  /** The round, moved on. @throws DriverError aborted when it is not known, or the event comes out of order */
  step(token: RoundToken, event: NodeRoundEvent): OpenRound {
    const { round, state } = this.#next(token, event);
    round.state = state;
    round.movedAtMs = this.#clock.monotonicMs();
    return round;
  }

  /** @throws DriverError aborted when `step` would */
  assertMay(token: RoundToken, event: NodeRoundEvent): void {
    this.#next(token, event);
  }

  /**
   * The round, moved on because it was told so; undefined when there is nothing to move: this process does not know it, or
   * it is committed already.
   * @throws DriverError when it does not obey: failed-precondition when it is committed, else aborted
   */
  told(token: RoundToken, command: 'commit' | 'abort', committed: boolean): OpenRound | undefined {
    const round = this.#rounds.get(token);
    if (obeys(command, round?.state, committed)) return round && !committed ? this.step(token, command) : undefined;
    if (committed) throw new DriverError('failed-precondition', `round ${token} is committed and can't be aborted`);
    throw new DriverError('aborted', `round ${token} is ${round?.state}: ${command} is too late`);
  }

  /** Commits and aborts of a round come from several sides: one at a time, in the order of their calls. */
  async inTurn<T>(token: RoundToken, decide: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(token);
    const turn = (async () => {
      await before?.catch(() => undefined);
      return await decide();
    })();
    this.#turns.set(token, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(token) === turn) this.#turns.delete(token);
    }
  }

  /** What is to be said of a round to somebody who does not lead it. */
  settle(token: RoundToken, committed: boolean): Decision {
    const round = this.#rounds.get(token);
    const idleMs = this.#clock.monotonicMs() - (round?.movedAtMs ?? 0);
    return settle(round?.state, committed, round !== undefined && idleMs > silenceLimitMs(round.plan.leaseMs));
  }

  #next(token: RoundToken, event: NodeRoundEvent): { readonly round: OpenRound; readonly state: NodeRoundState } {
    const round = this.#rounds.get(token);
    if (!round) throw new DriverError('aborted', `round ${token} is not known here: it ended, or the agent restarted`);
    const state = nextState(round.state, event);
    if (!state) throw new DriverError('aborted', `round ${token} is ${round.state}: ${event} is too late`);
    return { round, state };
  }
}
