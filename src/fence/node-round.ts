/**
 * The node's side of rounds: prepare, freeze, cut, commit, abort (docs/design.md, "The round").
 * It joins the fence with the backend's cut; what is frozen and for how long is the fence's business.
 */
import type { Backend, FenceTarget } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { VolumeId } from '../core/ids.ts';
import {
  type CutNode,
  type FrozenNode,
  type MemberEvidence,
  newToken,
  type PreparedNode,
  type RoundPlan,
  type RoundToken,
} from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';
import { evidenceOf, quiescenceOf } from './evidence.ts';
import type { FenceSession } from './fence-session.ts';
import { assertLease, type NodeFence } from './node-fence.ts';
import { type NodeRoundEvent, type NodeRoundState, nextState } from './round-state.ts';

interface Round {
  readonly plan: RoundPlan;
  readonly targets: readonly FenceTarget[];
  readonly session: FenceSession | undefined;
  state: NodeRoundState;
  freezeStartedMs: number;
  frozenAtMs: readonly number[];
  /** Members of this round that count as frozen now. */
  frozenNow: number;
  expiry: NodeJS.Timeout;
}

/** A round whose coordinator has gone before the freeze is given up after this long. */
const PREPARED_LIMIT_MS = 60_000;

/** What to tell about frozen members, for metrics. */
export interface FrozenGauge {
  changed(frozenNow: number): void;
}

export class NodeRounds {
  readonly #backend: Backend;
  readonly #fence: NodeFence;
  readonly #clock: Clock;
  readonly #gauge: FrozenGauge;
  readonly #rounds = new Map<RoundToken, Round>();
  #frozenNow = 0;

  constructor(backend: Backend, fence: NodeFence, clock: Clock, gauge: FrozenGauge) {
    this.#backend = backend;
    this.#fence = fence;
    this.#clock = clock;
    this.#gauge = gauge;
  }

  async prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode> {
    if (this.#rounds.has(plan.token)) throw new DriverError('aborted', `round ${plan.token} is prepared already`);
    const targets = await this.#backend.fenceTargets(plan.members.map(({ volumeId }) => volumeId));
    await failpoint('round.prepare');
    await this.#backend.prepareCut(plan, signal);
    const fenced = plan.fenced ? targets.filter((target) => target.kind === 'fenced') : [];
    let session: FenceSession | undefined;
    try {
      if (fenced.length > 0) {
        const members = fenced.map(({ layers }) => layers);
        session = await this.#fence.prepare(plan.token, members, signal);
      }
    } catch (error) {
      await this.#backend.abortCut(plan.token);
      throw error;
    }
    this.#rounds.set(plan.token, {
      plan,
      targets,
      session,
      state: 'prepared',
      freezeStartedMs: 0,
      frozenAtMs: [],
      frozenNow: 0,
      expiry: setTimeout(() => this.#expire(plan.token), PREPARED_LIMIT_MS),
    });
    return { quiescence: targets.map(quiescenceOf) };
  }

  async freeze(token: RoundToken): Promise<FrozenNode> {
    const round = this.#step(token, 'freeze');
    round.freezeStartedMs = this.#clock.monotonicMs();
    await failpoint('round.freeze');
    if (round.session) {
      this.#expireIn(round, round.plan.leaseMs);
      round.frozenAtMs = await round.session.freeze(round.plan.leaseMs);
      round.frozenNow = round.frozenAtMs.length;
      this.#countFrozen(round.frozenNow);
    }
    await failpoint('round.frozen');
    const leaseLeftMs = assertLease(round.session, 'every member was frozen');
    return { leaseLeftMs: Math.min(leaseLeftMs, round.plan.leaseMs) };
  }

  /** Cuts every member, thaws, and seals the cut. Past the lease it refuses; what fails is thawed and aborted at once. */
  async cut(token: RoundToken): Promise<CutNode> {
    const round = this.#step(token, 'cut');
    try {
      return { evidence: await this.#cutAndSeal(round) };
    } catch (error) {
      // It was never sealed, so no commit may come any more; whoever leads the round hears of the first failure only.
      round.state = 'aborted';
      await this.abort(token).catch(() => undefined);
      throw error;
    }
  }

  async #cutAndSeal(round: Round): Promise<readonly MemberEvidence[]> {
    assertLease(round.session, 'the cut');
    const cutAt = new Map<VolumeId, number>();
    await this.#cutMembers(round, cutAt);
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
    await failpoint('round.sealed');
    return evidence;
  }

  /** Also of a round that this process does not know: its cut may have been sealed before a restart. */
  async commit(token: RoundToken): Promise<CutRecord> {
    const round = this.#rounds.has(token) ? this.#step(token, 'commit') : undefined;
    const record = await this.#backend.commitCut(token).catch((error: unknown) => {
      // Sealed it still is: whoever leads the round may try again, or abort.
      if (round) round.state = 'sealed';
      throw error;
    });
    this.#forget(token);
    await failpoint('round.committed');
    return record;
  }

  async abort(token: RoundToken): Promise<void> {
    const round = this.#rounds.get(token);
    if (round) {
      this.#step(token, 'abort');
      await this.#thaw(round);
    }
    await failpoint('round.abort');
    await this.#backend.abortCut(token);
    this.#forget(token);
  }

  /** The coordinator has gone: the guard has thawed or will; what was cut and not sealed is deleted. */
  #expire(token: RoundToken): void {
    const round = this.#rounds.get(token);
    // Nobody waits here; what can't be deleted now is swept at the next start.
    if (round && nextState(round.state, 'expire') === 'aborted') void this.abort(token).catch(() => undefined);
  }

  #expireIn(round: Round, ms: number): void {
    clearTimeout(round.expiry);
    round.expiry = setTimeout(() => this.#expire(round.plan.token), ms);
  }

  #forget(token: RoundToken): void {
    clearTimeout(this.#rounds.get(token)?.expiry);
    this.#rounds.delete(token);
  }

  /**
   * Runs `work` while the volume is quiet, for a copy that is not a round (CreateVolume from a volume).
   * @param undo deletes what the work made, should the freeze not have held until it was done
   * @throws DriverError aborted when it did not hold
   */
  async whileQuiet<T>(
    volumeId: VolumeId,
    leaseMs: number,
    work: () => Promise<T>,
    undo: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<T> {
    if (!this.#backend.copiesStopped) return await work();
    const [target] = await this.#backend.fenceTargets([volumeId]);
    if (target?.kind !== 'fenced') return await work();
    const session = await this.#fence.prepare(newToken(), [target.layers], signal);
    try {
      await session.freeze(leaseMs);
      await failpoint('clone.frozen');
      const result = await work();
      if ((await session.end()).held) return result;
    } finally {
      await session.end();
    }
    await undo();
    throw new DriverError('aborted', `volume ${volumeId} did not stay quiet until its copy was made`);
  }

  /** Thaws and aborts everything that is under way: the agent is stopping. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [token, { state }] of this.#rounds) if (nextState(state, 'abort')) await this.abort(token);
  }

  /** The unfenced member first: its cut must lie before any thaw. The rest in parallel. */
  async #cutMembers({ plan, targets }: Round, cutAt: Map<VolumeId, number>): Promise<void> {
    const cutOne = async (volumeId: VolumeId): Promise<void> => {
      await this.#backend.cutMember(plan.token, volumeId);
      cutAt.set(volumeId, this.#clock.monotonicMs());
    };
    const unfenced = plan.members.filter((_, i) => targets[i]?.kind === 'unfenceable');
    const fenced = plan.members.filter((_, i) => targets[i]?.kind !== 'unfenceable');
    for (const { volumeId } of unfenced) await cutOne(volumeId);
    if (plan.fenced) {
      // All have ended, also when one fails: what is under way must not be undone.
      const outcomes = await Promise.allSettled(fenced.map(({ volumeId }) => cutOne(volumeId)));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    } else {
      // The negative control: without a fence, and one after the other, as drivers do that have none.
      for (const { volumeId } of fenced) {
        await cutOne(volumeId);
        await failpoint('round.unfenced-pause');
      }
    }
  }

  async #thaw(round: Round): Promise<{ readonly thawedAtMs: readonly number[]; readonly held: boolean }> {
    const report = (await round.session?.end()) ?? { thawedAtMs: [], held: true };
    this.#countFrozen(-round.frozenNow);
    round.frozenNow = 0;
    return report;
  }

  #countFrozen(change: number): void {
    this.#frozenNow += change;
    this.#gauge.changed(this.#frozenNow);
  }

  #step(token: RoundToken, event: NodeRoundEvent): Round {
    const round = this.#rounds.get(token);
    if (!round) throw new DriverError('aborted', `round ${token} is not known here: it ended, or the agent restarted`);
    const state = nextState(round.state, event);
    if (!state) throw new DriverError('aborted', `round ${token} is ${round.state}: ${event} is too late`);
    round.state = state;
    return round;
  }
}
