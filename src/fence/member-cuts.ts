import type { Backend } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import { failpoint } from '../core/failpoint.ts';
import type { VolumeId } from '../core/ids.ts';
import type { OpenRound } from './open-rounds.ts';

/**
 * Cuts every member of a round: the unfenced one first, for its cut must lie before any thaw; the rest in parallel.
 * @returns when each was cut, `Clock.monotonicMs`
 */
export async function cutMembers(
  { plan, targets }: Pick<OpenRound, 'plan' | 'targets'>,
  backend: Pick<Backend, 'cutMember'>,
  clock: Clock,
): Promise<ReadonlyMap<VolumeId, number>> {
  const cutAt = new Map<VolumeId, number>();
  const cutOne = async (volumeId: VolumeId): Promise<void> => {
    await backend.cutMember(plan.token, volumeId);
    cutAt.set(volumeId, clock.monotonicMs());
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
  return cutAt;
}
