/**
 * How rounds end on a node: committed or aborted as they are told, settled for somebody who does not lead them, given up
 * when nobody leads them on, undone when the node stops. Which of these may be done when is in `round-state.ts`.
 */
import type { Backend } from '../core/backend.ts';
import { allSettled } from '../core/concurrency.ts';
import { failpoint } from '../core/failpoint.ts';
import type { Decision, RoundToken } from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';
import type { FenceObserver } from './fence-observer.ts';
import type { OpenRound, OpenRounds } from './open-rounds.ts';
import { isGivenUp, isUndoneAtStop } from './round-state.ts';
import { silenceLimitMs } from './signs-of-life.ts';

type Pool = Pick<Backend, 'isCommitted' | 'commitCut' | 'abortCut'>;

/** Looked at when it is the round's turn: it may have gone on since somebody wanted it undone. */
type IsDue = (round: OpenRound) => boolean;

export class RoundEndings {
  readonly #rounds: OpenRounds;
  readonly #pool: Pool;
  readonly #observer: FenceObserver;

  constructor(rounds: OpenRounds, pool: Pool, observer: FenceObserver) {
    this.#rounds = rounds;
    this.#pool = pool;
    this.#observer = observer;
  }

  /** Also of a round that this process does not know: its cut may have been sealed before a restart. */
  async commit(token: RoundToken): Promise<CutRecord> {
    const record = await this.#rounds.inTurn(token, async () => {
      const round = this.#rounds.told(token, 'commit', await this.#pool.isCommitted(token));
      const committed = await this.#pool.commitCut(token).catch((error: unknown) => {
        // Sealed it still is: whoever leads the round may try again, or abort.
        if (round) {
          round.state = 'sealed';
          this.expireInSilence(round);
        }
        throw error;
      });
      this.#rounds.forget(token);
      return committed;
    });
    await failpoint('round.committed');
    return record;
  }

  async abort(token: RoundToken): Promise<void> {
    await this.#rounds.inTurn(token, () => this.#undo(token));
  }

  /**
   * Decides over a round whose coordinator does not come back, at the home of its group. What the coordinator still does
   * is left alone.
   */
  async settle(token: RoundToken): Promise<Decision> {
    return await this.#rounds.inTurn(token, async () => {
      const decision = this.#rounds.settle(token, await this.#pool.isCommitted(token));
      if (decision === 'aborted') await this.#undo(token);
      return decision;
    });
  }

  /** Aborts what nobody leads any more. Nobody waits for it either: what fails is told to the observer. */
  async giveUp(token: RoundToken, isStillDue: IsDue = () => true): Promise<void> {
    try {
      await this.#rounds.inTurn(token, () => this.#undo(token, isStillDue));
    } catch (reason) {
      this.#observer.notCleanedUp(token, reason);
    }
  }

  /** The round is given up when nothing more is heard of its coordinator; of what its home decides nothing is. */
  expireInSilence(round: OpenRound): void {
    if (isDue(round)) this.expireIn(round, silenceLimitMs(round.plan.leaseMs));
  }

  /** The round is given up, if it has not gone on by then, so many milliseconds from now. */
  expireIn(round: OpenRound, ms: number): void {
    clearTimeout(round.expiry);
    round.expiry = setTimeout(() => this.#expire(round), ms);
  }

  /**
   * Thaws and aborts what is under way: the agent is stopping. What is sealed is left to the next start, which knows who
   * decides over it.
   */
  async stop(): Promise<void> {
    const ended = [...this.#rounds.tokens()].map((token) =>
      this.#rounds.inTurn(token, async () => {
        await this.#undo(token, ({ state }) => isUndoneAtStop(state));
        this.#rounds.forget(token);
      }),
    );
    await allSettled(ended);
  }

  /** The coordinator has gone: the guard has thawed or will; what was cut and not sealed is deleted. */
  #expire(round: OpenRound): void {
    if (!isDue(round)) return;
    if (round.state === 'frozen' && round.session) this.#observer.leaseLost();
    void this.giveUp(round.plan.token, isDue);
  }

  /** @param isStillDue absent: also what this process does not know is undone */
  async #undo(token: RoundToken, isStillDue?: IsDue): Promise<void> {
    // First: a `prepare` that comes late is refused, and one that is under way undoes itself.
    await this.#rounds.end(token);
    const committed = await this.#pool.isCommitted(token);
    const open = this.#rounds.get(token);
    // With no wait from here to the abort: a freeze or a cut has no turn, and may come at any of them.
    if (isStillDue && !(open && isStillDue(open))) return;
    try {
      // Not when its commit failed after it had been made: then it stays.
      const round = this.#rounds.told(token, 'abort', committed);
      // Both at once: nothing stays stopped while a cut that is under way is waited for, which must not be undone.
      const thawed = round?.session?.end();
      await Promise.allSettled([thawed, round?.cutting]);
      await failpoint('round.abort');
      // A thaw that failed keeps no cut.
      await allSettled<unknown>([Promise.resolve(thawed), this.#pool.abortCut(token)]);
    } finally {
      // What could not be deleted is uncommitted all the same: nobody has to wait for it.
      this.#rounds.forget(token);
    }
  }
}

/** A round whose coordinator has gone. */
function isDue({ state, plan }: OpenRound): boolean {
  return isGivenUp(state, plan.group === undefined);
}
