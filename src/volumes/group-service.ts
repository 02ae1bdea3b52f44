import { mapLimited } from '../core/concurrency.ts';
import { DriverError, hasCode, messageOf, notFound } from '../core/errors.ts';
import { groupId, homeOf, type NodeName, nodeOf, type VolumeId } from '../core/ids.ts';
import type { NodeDirectory } from '../core/node-agent.ts';
import { type GroupIntent, nodesOfGroup } from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import { compareIds } from '../core/sorted-index.ts';
import { Resolver } from '../fence/resolver.ts';
import { confirmMembers, isSubset, memberIdOf } from './group-members.ts';
import { deleteWithoutHome } from './homeless-group.ts';
import { ASKED_AT_A_TIME, agentOf } from './nodes.ts';
import { askTheSame } from './parameters.ts';
import type { CreateGroupRequest, GroupRequest, GroupSnapshot } from './requests.ts';
import type { Rounds } from './snapshot-service.ts';

/** The home's record of a group: it names all members. */
type HomeRecord = CutRecord & { readonly group: GroupIntent };

/**
 * The controller's policy for group snapshots. Locks are the caller's, as in VolumeService.
 *
 * A group exists when its home has committed it (docs/adr/0005-many-nodes.md). One that its home has is finished on the
 * other nodes, never started again; one that its home has not is started.
 */
export class GroupService {
  readonly #directory: NodeDirectory;
  readonly #rounds: Rounds;
  readonly #resolver: Resolver;

  constructor(directory: NodeDirectory, rounds: Rounds) {
    this.#directory = directory;
    this.#rounds = rounds;
    this.#resolver = new Resolver(directory);
  }

  /**
   * @throws DriverError already-exists (other members or parameters), not-found (volume), unavailable (node), and what a
   *   round throws
   */
  async create(request: CreateGroupRequest, signal: AbortSignal): Promise<GroupSnapshot> {
    const { name, volumeIds, parameters, fenced, barrier } = request;
    const id = groupId(this.#homeOf(volumeIds), name);
    const intent: GroupIntent = { id, name, volumeIds: volumeIds.toSorted(compareIds), parameters };
    const existing = await this.#find(id, signal);
    if (existing) {
      confirmSame(existing.group, intent);
      return viewOf(existing.group, await this.#finish(existing));
    }
    await this.#confirmVolumes(volumeIds, signal);
    await this.#resolver.settleGroup(id, nodesOfGroup(intent), signal);
    const members = volumeIds.map((volumeId) => ({ volumeId, snapshotId: memberIdOf(intent, volumeId) }));
    return viewOf(intent, await this.#rounds.run({ name, group: intent, members, fenced, barrier }, signal));
  }

  /** @throws DriverError not-found, invalid-argument (snapshot_ids are not the group's), unavailable */
  async get({ id, snapshotIds }: GroupRequest, signal: AbortSignal): Promise<GroupSnapshot> {
    const existing = await this.#find(id, signal);
    if (existing?.group.id !== id) throw notFound('group snapshot', id);
    confirmMembers(existing.group, snapshotIds);
    return viewOf(existing.group, await this.#finish(existing));
  }

  /**
   * Of an id that is unknown or not ours: succeeds.
   * @throws DriverError invalid-argument (snapshot_ids are not the group's), failed-precondition while a member is in use,
   *   unavailable (node)
   */
  async delete(request: GroupRequest, signal: AbortSignal): Promise<void> {
    const { id, snapshotIds } = request;
    const home = nodeOf('group', id);
    if (home !== undefined && !this.#directory.has(home)) {
      return await deleteWithoutHome(this.#directory, request, signal);
    }
    const existing = await this.#find(id, signal);
    if (existing?.group.id !== id) {
      // Not found, and yet an earlier deletion may not have been finished.
      return await agentOf(this.#directory, 'group', id)?.deleteGroup(id, signal);
    }
    confirmMembers(existing.group, snapshotIds);
    // The home's last: as long as it is there, a retry finds the rest.
    // What was on a node that there is no more went with it.
    const others = othersOf(existing).filter((node) => this.#directory.has(node));
    await Promise.all(others.map((node) => this.#deletePart(node, existing, signal)));
    await this.#directory.agent(existing.node).deleteGroup(id, signal);
  }

  /** What the home says of a group; its name may be that of a group with another home. */
  async #find(id: string, signal: AbortSignal): Promise<HomeRecord | undefined> {
    const record = await agentOf(this.#directory, 'group', id)?.getGroup(id, signal);
    return record?.group && { ...record, group: record.group };
  }

  /**
   * Commits a decided group on the nodes that a crash kept from it; of the others this is how their part is read.
   * Not under the caller's signal: from the decision on there is no way back.
   */
  async #finish(home: HomeRecord): Promise<readonly CutRecord[]> {
    const { signal } = new AbortController();
    const parts = othersOf(home).map(async (node) => {
      try {
        return await this.#directory.agent(node).commit(home.token, signal);
      } catch (error) {
        if (!hasCode(error, 'aborted')) throw error;
        const reason = `group snapshot ${home.group.id} is not whole on node ${node}: it is being finished or deleted`;
        throw new DriverError('aborted', `${reason} (${messageOf(error)})`, { cause: error });
      }
    });
    return [home, ...(await Promise.all(parts))];
  }

  async #deletePart(node: NodeName, { token, group }: HomeRecord, signal: AbortSignal): Promise<void> {
    const agent = this.#directory.agent(node);
    const part = await agent.getGroup(group.id, signal);
    // It may also be the part of a group of this name with another home.
    if (part?.group?.id === group.id) await agent.deleteGroup(group.id, signal);
    // Cut there, and never committed.
    else await agent.abort(token, signal);
  }

  /** @throws DriverError not-found when no node there is can have made any of the volumes */
  #homeOf(volumeIds: readonly VolumeId[]): NodeName {
    const nodes = volumeIds.flatMap((id) => nodeOf('volume', id) ?? []).filter((node) => this.#directory.has(node));
    if (nodes.length === 0) throw notFound('volume', volumeIds[0] ?? '');
    return homeOf(nodes);
  }

  async #confirmVolumes(volumeIds: readonly VolumeId[], signal: AbortSignal): Promise<void> {
    const volumes = await mapLimited(volumeIds, ASKED_AT_A_TIME, async (id) =>
      agentOf(this.#directory, 'volume', id)?.getVolume(id, signal),
    );
    const missing = volumeIds.find((_, i) => volumes[i] === undefined);
    if (missing !== undefined) throw notFound('volume', missing);
  }
}

function confirmSame(existing: GroupIntent, wanted: GroupIntent): void {
  const name = JSON.stringify(existing.name);
  if (existing.volumeIds.length !== wanted.volumeIds.length || !isSubset(wanted.volumeIds, existing.volumeIds)) {
    const members = existing.volumeIds.join(', ');
    throw new DriverError('already-exists', `a group snapshot named ${name} exists, and its volumes are ${members}`);
  }
  if (!askTheSame(existing.parameters, wanted.parameters)) {
    throw new DriverError('already-exists', `a group snapshot named ${name} exists, made with other parameters`);
  }
}

/** @throws DriverError internal when a committed record lacks a member: never half a group */
function viewOf(intent: GroupIntent, records: readonly CutRecord[]): GroupSnapshot {
  const byVolume = new Map(records.flatMap(({ snapshots }) => snapshots).map((each) => [each.sourceVolumeId, each]));
  const snapshots = intent.volumeIds.map((volumeId): Snapshot => {
    const snapshot = byVolume.get(volumeId);
    if (!snapshot)
      throw new DriverError('internal', `group snapshot ${intent.id} has no snapshot of volume ${volumeId}`);
    return snapshot;
  });
  return { id: intent.id, snapshots, createdAt: Math.min(...snapshots.map(({ createdAt }) => createdAt)) };
}

function othersOf({ node, group }: HomeRecord): readonly NodeName[] {
  return [...nodesOfGroup(group)].filter((other) => other !== node);
}
