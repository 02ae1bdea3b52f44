/** The proof of a round: when each member was frozen, cut and thawed, and how long the fence was. */
import type { FenceTarget } from '../core/backend.ts';
import type { VolumeId } from '../core/ids.ts';
import type { MemberEvidence, Quiescence, RoundPlan } from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';

export interface Measured {
  readonly plan: RoundPlan;
  readonly targets: readonly FenceTarget[];
  /** All times are `Clock.monotonicMs`; those of fences are in the order of the targets that are fenced. */
  readonly freezeStartedMs: number;
  readonly frozenAtMs: readonly number[];
  readonly cutAtMs: ReadonlyMap<VolumeId, number>;
  readonly thawedAtMs: readonly number[];
  readonly leaseLeftMs: number;
}

export function quiescenceOf(target: FenceTarget): Quiescence {
  switch (target.kind) {
    case 'fenced':
      return target.layers[0].kind === 'filesystem' ? 'frozen' : 'suspended';
    case 'idle':
      return 'idle';
    case 'unfenceable':
      return 'unfenced';
  }
}

/** In the order of the plan's members. */
export function evidenceOf(measured: Measured): readonly MemberEvidence[] {
  const { plan, targets, freezeStartedMs, frozenAtMs, thawedAtMs } = measured;
  const since = (time: number) => Math.round((time - freezeStartedMs) * 1000) / 1000;
  let fenced = 0;
  return plan.members.map(({ volumeId }, i) => {
    const target = targets[i];
    const quiescence: Quiescence = target && plan.fenced ? quiescenceOf(target) : 'unfenced';
    const cutAt = measured.cutAtMs.get(volumeId) ?? Number.NaN;
    const frozen = quiescence === 'frozen' || quiescence === 'suspended' ? fenced++ : undefined;
    // A member that was not frozen was quiet, or atomic, at the instant of its cut.
    const at = (times: readonly number[]) => (frozen === undefined ? cutAt : (times[frozen] ?? Number.NaN));
    return {
      volumeId,
      quiescence,
      frozenAtMs: since(at(frozenAtMs)),
      cutAtMs: since(cutAt),
      thawedAtMs: since(at(thawedAtMs)),
      leaseLeftMs: Math.round(Math.min(measured.leaseLeftMs, plan.leaseMs)),
    };
  });
}

/** Milliseconds from the first freeze call to the last thaw return, the longest over the nodes. */
export function windowOf(records: readonly CutRecord[]): number {
  return Math.max(0, ...records.flatMap(({ evidence }) => evidence.map(({ thawedAtMs }) => thawedAtMs)));
}
