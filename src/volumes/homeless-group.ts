/**
 * A group whose home is not among the nodes that there are. Nobody says any more what its members are but the caller, so its
 * parts are looked for where the snapshots that the caller names would be.
 *
 * None of the parts can become a group without its home, so it does not matter in which order they go, nor what the home
 * had decided. Should it come back with the group committed, the group is answered `aborted`, never half, until it is
 * deleted again.
 */
import { mapLimited } from '../core/concurrency.ts';
import { type GroupId, nodeOf } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import { confirmMembers } from './group-members.ts';
import { ASKED_AT_A_TIME } from './nodes.ts';
import type { GroupRequest } from './requests.ts';

/**
 * Again, or of what there is not: succeeds. All nodes are looked at before anything is deleted.
 * @throws DriverError invalid-argument (snapshot_ids are not the group's), failed-precondition while a member is in use,
 *   unavailable while one of the nodes is away
 */
export async function deleteWithoutHome(
  directory: NodeDirectory,
  { id, snapshotIds }: GroupRequest,
  signal: AbortSignal,
): Promise<void> {
  const named = new Set(snapshotIds.flatMap((snapshotId) => nodeOf('snapshot', snapshotId) ?? []));
  const nodes = [...named].filter((node) => directory.has(node));
  const parts = await mapLimited(nodes, ASKED_AT_A_TIME, (node) => partsOn(directory.agent(node), id, signal));
  for (const { group } of parts.flat()) confirmMembers(group, snapshotIds);
  await mapLimited(parts.flat(), ASKED_AT_A_TIME, (part) => part.remove());
}

async function partsOn(agent: NodeAgent, id: GroupId, signal: AbortSignal) {
  // What waits for a decision first: it may be committed meanwhile.
  const sealed = await agent.sealedParts(signal);
  const record = await agent.getGroup(id, signal);
  const parts = sealed.map(({ token, group }) => ({ group, remove: () => agent.abort(token, signal) }));
  if (record?.group) parts.push({ group: record.group, remove: () => agent.deleteGroup(id, signal) });
  // The name may also be that of a group with another home.
  return parts.filter(({ group }) => group.id === id);
}
