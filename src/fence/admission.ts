/** Whether a round may begin on this node (docs/adr/0005-many-nodes.md). The caller holds the locks of all that it names. */
import type { Backend, FenceTarget } from '../core/backend.ts';
import { DriverError } from '../core/errors.ts';
import { lockKeysOf } from '../core/ids.ts';
import type { GroupIntent, RoundPlan } from '../core/round.ts';
import { refusal } from './round-state.ts';

type Pool = Pick<Backend, 'getGroup' | 'getSnapshot' | 'sealedCuts'>;

/**
 * Rounds of the group that this process knows hold its lock; those on disk alone were sealed before a restart.
 * @throws DriverError aborted while another round of the group is not over, or when another controller has made the same
 *   since the caller looked; already-exists when the name is taken by a group with other members
 */
export async function admitRound({ group, members }: RoundPlan, pool: Pool): Promise<void> {
  for (const { snapshotId } of members) {
    if (!(await pool.getSnapshot(snapshotId))) continue;
    throw new DriverError('aborted', `snapshot ${snapshotId} was made meanwhile: look again`);
  }
  if (!group) return;
  const existing = (await pool.getGroup(group.id))?.group;
  if (existing && existing.id !== group.id) throw otherGroup(existing);
  const onDisk = (await pool.sealedCuts()).filter((sealed) => isOfOneName(sealed.group, group));
  const earlier = onDisk.map(({ token }) => ({ token, state: 'sealed' as const }));
  const reason = refusal(existing !== undefined, earlier);
  if (reason !== undefined) throw new DriverError('aborted', `${group.id}: ${reason}`);
}

/**
 * How each member is kept quiet, when that is not for too long.
 * @param budgetMs longest time that a cut may be expected to take, milliseconds
 * @throws DriverError failed-precondition when writers would wait for the cut for longer than the budget
 */
export async function pricedTargets(
  { members, fenced, leaseMs }: RoundPlan,
  backend: Pick<Backend, 'fenceTargets' | 'assertCutWithin'>,
  budgetMs: number,
): Promise<readonly FenceTarget[]> {
  const ids = members.map(({ volumeId }) => volumeId);
  const targets = await backend.fenceTargets(ids);
  // Nobody waits for a cut of volumes that nobody uses.
  const used = fenced && targets.some(({ kind }) => kind !== 'idle');
  if (used) await backend.assertCutWithin(Math.min(budgetMs, leaseMs), ids);
  return targets;
}

/** Of one name, whatever their homes: on a node there is one. */
function isOfOneName(one: GroupIntent, other: GroupIntent): boolean {
  return lockKeysOf(one.id)[0] === lockKeysOf(other.id)[0];
}

function otherGroup({ id, name, volumeIds }: GroupIntent): DriverError {
  const members = volumeIds.join(', ');
  return new DriverError(
    'already-exists',
    `a group snapshot named ${JSON.stringify(name)} exists, ${id}, and its volumes are ${members}`,
  );
}
