/** Whether a round may begin on this node (docs/adr/0005-many-nodes.md). The caller holds the locks of all that it names. */
import type { Backend } from '../core/backend.ts';
import { DriverError } from '../core/errors.ts';
import type { NodeName } from '../core/ids.ts';
import { type GroupIntent, isDecidedElsewhere, type RoundPlan, type RoundToken } from '../core/round.ts';
import { admit, type EarlierRound } from './round-state.ts';

type Pool = Pick<Backend, 'getGroup' | 'getSnapshot' | 'sealedCuts'>;

/**
 * @param under earlier rounds of the same group that this process knows
 * @returns earlier rounds of the group that must be aborted first
 * @throws DriverError aborted when one is under way, or when another controller has made the same since the caller looked;
 *   already-exists when the name is taken by a group with other members
 */
export async function admitRound(
  { token, group, members }: RoundPlan,
  node: NodeName,
  pool: Pool,
  under: () => readonly EarlierRound[],
): Promise<readonly RoundToken[]> {
  for (const { snapshotId } of members) {
    if (!(await pool.getSnapshot(snapshotId))) continue;
    throw new DriverError('aborted', `snapshot ${snapshotId} was made meanwhile: look again`);
  }
  if (!group) return [];
  await refuseOtherGroup(group, pool);
  // On disk alone: its process has died since, and its coordinator with the connection.
  const onDisk = (await pool.sealedCuts()).filter((sealed) => sealed.group.id === group.id);
  const committed = (await pool.getGroup(group.id)) !== undefined;
  // What the process knows counts, and is looked at last: nothing may happen between the look and the answer.
  const earlier = new Map<RoundToken, EarlierRound>();
  for (const sealed of onDisk) earlier.set(sealed.token, { token: sealed.token, state: 'sealed', overdue: true });
  for (const round of under()) earlier.set(round.token, round);
  earlier.delete(token);
  const home = !isDecidedElsewhere(group, node);
  const admission = admit({ home, committed, earlier: [...earlier.values()] });
  if (admission.kind === 'refused') throw new DriverError('aborted', `${group.id}: ${admission.reason}`);
  return admission.displaced;
}

async function refuseOtherGroup(group: GroupIntent, pool: Pool): Promise<void> {
  const existing = (await pool.getGroup(group.id))?.group;
  if (!existing || existing.id === group.id) return;
  const members = existing.volumeIds.join(', ');
  throw new DriverError(
    'already-exists',
    `a group snapshot named ${JSON.stringify(group.name)} exists, ${existing.id}, and its volumes are ${members}`,
  );
}
