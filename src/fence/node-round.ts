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
import { type OpenRound, OpenRounds } from './open-rounds.ts';
import { RoundEndings } from './round-endings.ts';
import { silenceLimitMs } from './signs-of-life.ts';

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
  readonly #endings: RoundEndings;
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
    this.#endings = new RoundEndings(this.#rounds, backend, observer);
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
      // Before it is made: also what was made of it until it failed is deleted.
      undo.defer(() => this.#backend.abortCut(token));
      await this.#backend.prepareCut(plan, signal);
      const session = await this.#prepareFence(plan, targets, signal);
      undo.defer(async () => void (await session?.end()));
      this.#rounds.assertNotEnded(token);
      const round = this.#opened(plan, targets, session, { volumeLocks, nameLocks });
      this.#rounds.add(token, round);
      // The round has them from here on.
      undo.move();
      this.#endings.expireInSilence(round);
      return { quiescence: targets.map(quiescenceOf) };
    });
  }

  /** A sign of life of the coordinator. @throws DriverError aborted when the round is not one that waits for it here */
  wait(token: RoundToken): void {
    this.#endings.expireInSilence(this.#rounds.step(token, 'wait'));
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
    const times = { movedAtMs: this.#clock.monotonicMs(), freezeStartedMs: 0, frozenAtMs: [] };
    return { plan, targets, session, ...locks, state: 'prepared', ...times };
  }

  async freeze(token: RoundToken): Promise<FrozenNode> {
    const round = this.#rounds.step(token, 'freeze');
    round.freezeStartedMs = this.#clock.monotonicMs();
    await failpoint('round.freeze');
    // Where nothing is stopped there is no lease: those of the other nodes end first.
    const { leaseMs } = round.plan;
    this.#endings.expireIn(round, round.session ? leaseMs : silenceLimitMs(leaseMs));
    if (round.session) {
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
    const cutting = this.#cutAndSeal(round);
    round.cutting = cutting;
    try {
      return { evidence: await cutting };
    } catch (error) {
      if (round.session && round.session.leaseLeftMs() <= 0) this.#observer.leaseLost();
      // Whoever leads the round hears of the first failure only.
      await this.#endings.giveUp(token);
      throw error;
    }
  }

  async #cutAndSeal(round: OpenRound): Promise<readonly MemberEvidence[]> {
    assertLease(round.session, 'the cut');
    const cutAt = await cutMembers(round, this.#backend, this.#clock);
    const leaseLeftMs = assertLease(round.session, 'the cut was done');
    await failpoint('round.cut');
    const { thawedAtMs, held } = (await round.session?.end()) ?? { thawedAtMs: [], held: true };
    if (!held) throw new DriverError('aborted', 'a member was thawed by somebody else before its cut was done');
    await failpoint('round.thawed');
    // An abort thaws while members are being cut, and then waits for this: what it let go of was frozen until then.
    this.#rounds.assertMay(round.plan.token, 'seal');
    const evidence = evidenceOf({ ...round, cutAtMs: cutAt, thawedAtMs, leaseLeftMs });
    await this.#backend.sealCut(round.plan.token, evidence);
    this.#rounds.step(round.plan.token, 'seal');
    // What follows concerns the cut alone, and nobody knows how long its coordinator takes.
    round.volumeLocks[Symbol.dispose]();
    this.#endings.expireInSilence(round);
    await failpoint('round.sealed');
    return evidence;
  }

  commit(token: RoundToken): Promise<CutRecord> {
    return this.#endings.commit(token);
  }

  abort(token: RoundToken): Promise<void> {
    return this.#endings.abort(token);
  }

  settle(token: RoundToken): Promise<Decision> {
    return this.#endings.settle(token);
  }

  /** Parts of groups that wait for the decision of their home, here or elsewhere. */
  async sealedParts(): Promise<readonly SealedPart[]> {
    return await this.#backend.sealedCuts();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endings.stop();
  }
}
