/**
 * The node's side of rounds: prepare, freeze, cut, commit, abort (docs/design.md, "The round").
 * It joins the fence with the backend's cut; what is frozen and for how long is the fence's business.
 */
import type { Backend, FenceTarget } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { lockKeysOf } from '../core/ids.ts';
import type { KeyedLocks } from '../core/locks.ts';
import type {
  CutNode,
  Decision,
  FrozenNode,
  MemberEvidence,
  PreparedNode,
  RoundPlan,
  RoundToken,
  SealedPart,
} from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';
import { admitRound, pricedTargets } from './admission.ts';
import { evidenceOf, quiescenceOf } from './evidence.ts';
import type { FenceObserver } from './fence-observer.ts';
import type { FenceSession } from './fence-session.ts';
import { cutMembers } from './member-cuts.ts';
import { assertLease, type NodeFence } from './node-fence.ts';
import { type OpenRound, OpenRounds, OVERDUE_LEASES } from './open-rounds.ts';
import { nextState } from './round-state.ts';

/** A round whose coordinator has gone before the freeze is given up after this long. */
const PREPARED_LIMIT_MS = 60_000;

export interface NodeRoundsParts {
  readonly backend: Backend;
  readonly fence: NodeFence;
  readonly clock: Clock;
  readonly observer: FenceObserver;
  /** The node's: whoever changes a volume or snapshot here takes its lock. */
  readonly locks: KeyedLocks;
  /** Longest time that a cut may be expected to take, milliseconds; the lease when that is shorter. */
  readonly budgetMs: number;
}

export class NodeRounds {
  readonly #backend: Backend;
  readonly #fence: NodeFence;
  readonly #clock: Clock;
  readonly #observer: FenceObserver;
  readonly #locks: KeyedLocks;
  readonly #budgetMs: number;
  readonly #rounds: OpenRounds;

  constructor({ backend, fence, clock, observer, locks, budgetMs }: NodeRoundsParts) {
    this.#backend = backend;
    this.#fence = fence;
    this.#clock = clock;
    this.#observer = observer;
    this.#locks = locks;
    this.#budgetMs = budgetMs;
    this.#rounds = new OpenRounds(clock);
  }

  async prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode> {
    return await this.#rounds.begin(plan.token, async () => {
      const { token, group, members } = plan;
      await using undo = new AsyncDisposableStack();
      const hold = (...ids: readonly string[]) =>
        undo.use(this.#locks.acquire(`round ${token}`, { exclusive: lockKeysOf(...ids) }));
      const volumeLocks = hold(...members.map(({ volumeId }) => volumeId));
      const nameLocks = hold(...members.map(({ snapshotId }) => snapshotId), ...(group ? [group.id] : []));
      await admitRound(plan, this.#backend);
      const targets = await pricedTargets(plan, this.#backend, this.#budgetMs);
      await failpoint('round.prepare');
      await this.#backend.prepareCut(plan, signal);
      undo.defer(() => this.#backend.abortCut(token));
      const session = await this.#prepareFence(plan, targets, signal);
      undo.defer(async () => void (await session?.end()));
      this.#rounds.assertNotEnded(token);
      const locks = { volumeLocks, nameLocks };
      this.#rounds.add(token, this.#opened(plan, targets, session, locks));
      // The round has them from here on.
      undo.move();
      return { quiescence: targets.map(quiescenceOf) };
    });
  }

  async #prepareFence(
    { token, fenced }: RoundPlan,
    targets: readonly FenceTarget[],
    signal: AbortSignal,
  ): Promise<FenceSession | undefined> {
    const members = targets.flatMap((target) => (fenced && target.kind === 'fenced' ? [target.layers] : []));
    return members.length > 0 ? await this.#fence.prepare(token, members, signal) : undefined;
  }

  #opened(
    plan: RoundPlan,
    targets: readonly FenceTarget[],
    session: FenceSession | undefined,
    locks: Pick<OpenRound, 'volumeLocks' | 'nameLocks'>,
  ): OpenRound {
    const expiry = setTimeout(() => this.#expire(plan.token), PREPARED_LIMIT_MS);
    const times = { movedAtMs: this.#clock.monotonicMs(), freezeStartedMs: 0, frozenAtMs: [] };
    return { plan, targets, session, ...locks, state: 'prepared', ...times, expiry };
  }

  async freeze(token: RoundToken): Promise<FrozenNode> {
    const round = this.#rounds.step(token, 'freeze');
    round.freezeStartedMs = this.#clock.monotonicMs();
    await failpoint('round.freeze');
    if (round.session) {
      this.#expireIn(round, round.plan.leaseMs);
      round.frozenAtMs = await round.session.freeze(round.plan.leaseMs);
      // Aborted meanwhile: then the session has thawed, or will.
      if (round.state !== 'frozen') throw new DriverError('aborted', `round ${token} was aborted while it froze`);
    }
    await failpoint('round.frozen');
    const leaseLeftMs = assertLease(round.session, 'every member was frozen');
    return { leaseLeftMs: Math.min(leaseLeftMs, round.plan.leaseMs) };
  }

  /** Cuts every member, thaws, and seals the cut. Past the lease it refuses; what fails is thawed and aborted at once. */
  async cut(token: RoundToken): Promise<CutNode> {
    const round = this.#rounds.step(token, 'cut');
    try {
      return { evidence: await this.#cutAndSeal(round) };
    } catch (error) {
      if (round.session && round.session.leaseLeftMs() <= 0) this.#observer.leaseLost();
      // It was never sealed, so no commit may come any more; whoever leads the round hears of the first failure only.
      round.state = 'aborted';
      await this.abort(token).catch(() => undefined);
      throw error;
    }
  }

  async #cutAndSeal(round: OpenRound): Promise<readonly MemberEvidence[]> {
    assertLease(round.session, 'the cut');
    const cutAt = await cutMembers(round, this.#backend, this.#clock);
    const leaseLeftMs = assertLease(round.session, 'the cut was done');
    await failpoint('round.cut');
    const thawed = await this.#thaw(round);
    if (round.session && !thawed.held) {
      throw new DriverError('aborted', 'a member was thawed by somebody else before its cut was done');
    }
    await failpoint('round.thawed');
    const { thawedAtMs } = thawed;
    const evidence = evidenceOf({ ...round, cutAtMs: cutAt, thawedAtMs, leaseLeftMs });
    await this.#backend.sealCut(round.plan.token, evidence);
    this.#rounds.step(round.plan.token, 'seal');
    // What follows concerns the cut alone, and nobody knows how long its coordinator takes.
    round.volumeLocks[Symbol.dispose]();
    // Of a group its home decides; what is of this node alone is given up when its coordinator does not come back.
    if (!round.plan.group) this.#expireIn(round, OVERDUE_LEASES * round.plan.leaseMs);
    await failpoint('round.sealed');
    return evidence;
  }

  /** Also of a round that this process does not know: its cut may have been sealed before a restart. */
  async commit(token: RoundToken): Promise<CutRecord> {
    const record = await this.#rounds.inTurn(token, async () => {
      const decided = await this.#backend.isCommitted(token);
      const round = !decided && this.#rounds.get(token) ? this.#rounds.step(token, 'commit') : undefined;
      const committed = await this.#backend.commitCut(token).catch((error: unknown) => {
        // Sealed it still is: whoever leads the round may try again, or abort.
        if (round) round.state = 'sealed';
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

  async #undo(token: RoundToken): Promise<void> {
    // First: a `prepare` that comes late is refused, and one that is under way undoes itself.
    await this.#rounds.end(token);
    const round = this.#rounds.get(token);
    try {
      // Also when its commit failed after it had been made: then it stays.
      const committed = await this.#backend.isCommitted(token);
      if (round && !committed) this.#rounds.step(token, 'abort');
      if (round) await this.#thaw(round);
      await failpoint('round.abort');
      await this.#backend.abortCut(token);
    } finally {
      // What could not be deleted is uncommitted all the same: nobody has to wait for it.
      this.#rounds.forget(token);
    }
  }

  /**
   * Decides over a round whose coordinator does not come back, at the home of its group. What the coordinator still does
   * is left alone.
   */
  async settle(token: RoundToken): Promise<Decision> {
    return await this.#rounds.inTurn(token, async () => {
      const committed = await this.#backend.isCommitted(token);
      const decision = this.#rounds.settle(token, committed);
      if (decision === 'aborted') await this.#undo(token);
      return decision;
    });
  }

  /** The coordinator has gone: the guard has thawed or will; what was cut and not sealed is deleted. */
  #expire(token: RoundToken): void {
    const round = this.#rounds.get(token);
    if (!round) return;
    const abandoned = round.state === 'sealed' && !round.plan.group;
    if (!abandoned && nextState(round.state, 'expire') !== 'aborted') return;
    if (round.state === 'frozen') this.#observer.leaseLost();
    // Nobody waits here; what can't be deleted now is swept at the next start.
    void this.abort(token).catch(() => undefined);
  }

  #expireIn(round: OpenRound, ms: number): void {
    clearTimeout(round.expiry);
    round.expiry = setTimeout(() => this.#expire(round.plan.token), ms);
  }

  /** Parts of groups that wait for the decision of their home, here or elsewhere. */
  async sealedParts(): Promise<readonly SealedPart[]> {
    return await this.#backend.sealedCuts();
  }

  /**
   * Thaws and aborts what is under way: the agent is stopping. What is sealed is left to the next start, which knows who
   * decides over it: its home may have committed.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#rounds].filter(([, { state }]) => state !== 'sealed' && nextState(state, 'abort'));
    for (const [token, { state }] of this.#rounds) if (state === 'sealed') this.#rounds.forget(token);
    const outcomes = await Promise.allSettled(open.map(([token]) => this.abort(token)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #thaw(round: OpenRound): Promise<{ readonly thawedAtMs: readonly number[]; readonly held: boolean }> {
    return (await round.session?.end()) ?? { thawedAtMs: [], held: true };
  }
}
