/** Whether a round may begin on this node (docs/adr/0005-many-nodes.md). The caller holds the locks of all that it names. */
import type { Backend } from '../core/backend.ts';
import { DriverError } from '../core/errors.ts';
import type { GroupIntent, RoundPlan } from '../core/round.ts';
import { type EarlierRound, refusal } from './round-state.ts';

type Pool = Pick<Backend, 'getGroup' | 'getSnapshot' | 'sealedCuts'>;

/**
 * @param underWay other rounds of the same group that this process knows
 * @throws DriverError aborted while another round of the group is not over, or when another controller has made the same
 *   since the caller looked; already-exists when the name is taken by a group with other members
 */
export async function admitRound(
  { token, group, members }: RoundPlan,
  pool: Pool,
  underWay: (group: GroupIntent) => readonly EarlierRound[],
): Promise<void> {
  for (const { snapshotId } of members) {
    if (!(await pool.getSnapshot(snapshotId))) continue;
    throw new DriverError('aborted', `snapshot ${snapshotId} was made meanwhile: look again`);
  }
  if (!group) return;
  const existing = (await pool.getGroup(group.id))?.group;
  if (existing && existing.id !== group.id) throw otherGroup(existing);
  const onDisk = (await pool.sealedCuts()).filter((sealed) => sealed.group.id === group.id);
  const earlier = [...onDisk.map((sealed) => ({ token: sealed.token, state: 'sealed' as const })), ...underWay(group)];
  const reason = refusal(
    existing !== undefined,
    earlier.filter((round) => round.token !== token),
  );
  if (reason !== undefined) throw new DriverError('aborted', `${group.id}: ${reason}`);
}

function otherGroup({ id, name, volumeIds }: GroupIntent): DriverError {
  const members = volumeIds.join(', ');
  return new DriverError(
    'already-exists',
    `a group snapshot named ${JSON.stringify(name)} exists, ${id}, and its volumes are ${members}`,
  );
}
