import { DriverError, hasCode, invalidArgument, notFound } from '../core/errors.ts';
import { groupId, isGroupId, memberSnapshotId, type NodeName, nodeOf, type VolumeId } from '../core/ids.ts';
import type { NodeDirectory } from '../core/node-agent.ts';
import type { GroupIntent } from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import { agentOf, askEveryNode, needAnswerOf } from './nodes.ts';
import { askTheSame } from './parameters.ts';
import type { CreateGroupRequest, GroupRequest, GroupSnapshot } from './requests.ts';
import type { Rounds } from './snapshot-service.ts';

/** The records of a group that were found, at least one. */
interface FoundGroup {
  readonly intent: GroupIntent;
  readonly records: readonly CutRecord[];
}

/**
 * The controller's policy for group snapshots. Locks are the caller's, as in VolumeService.
 *
 * A group is committed on each of its nodes by itself, and the first commit is the decision (docs/design.md, "The round"). So
 * a group found on some of its nodes is finished, never started again; one found on none is started.
 */
export class GroupService {
  readonly #directory: NodeDirectory;
  readonly #rounds: Rounds;

  constructor(directory: NodeDirectory, rounds: Rounds) {
    this.#directory = directory;
    this.#rounds = rounds;
  }

  /**
   * @throws DriverError already-exists (other members or parameters), not-found (volume), unavailable (node), and what a
   *   round throws
   */
  async create(request: CreateGroupRequest, signal: AbortSignal): Promise<GroupSnapshot> {
    const { name, volumeIds, parameters, fenced } = request;
    const intent: GroupIntent = { id: groupId(name), name, volumeIds: volumeIds.toSorted(compare), parameters };
    const { group, away } = await this.#find(intent.id, signal);
    if (group) {
      confirmSame(group.intent, intent);
      return viewOf(group.intent, await this.#finish(group, away));
    }
    needAnswerOf(away, nodesOf(intent));
    await this.#confirmVolumes(volumeIds, signal);
    const members = volumeIds.map((volumeId) => ({ volumeId, snapshotId: memberIdOf(intent, volumeId) }));
    return viewOf(intent, await this.#rounds.run({ name, group: intent, members, fenced }, signal));
  }

  /** @throws DriverError not-found, invalid-argument (snapshot_ids are not the group's), unavailable */
  async get({ id, snapshotIds }: GroupRequest, signal: AbortSignal): Promise<GroupSnapshot> {
    const { group, away } = await this.#find(id, signal);
    if (!group) {
      needAnswerOf(away, away.keys());
      throw notFound('group snapshot', id);
    }
    confirmMembers(group.intent, snapshotIds);
    return viewOf(group.intent, await this.#finish(group, away));
  }

  /**
   * Of an id that is unknown or not ours: succeeds.
   * @throws DriverError invalid-argument (snapshot_ids are not the group's), failed-precondition while a member is in use
   */
  async delete({ id, snapshotIds }: GroupRequest, signal: AbortSignal): Promise<void> {
    const { group, away } = await this.#find(id, signal);
    if (!group) {
      needAnswerOf(away, away.keys());
      return;
    }
    confirmMembers(group.intent, snapshotIds);
    needAnswerOf(away, nodesOf(group.intent));
    // First what was cut and never committed: a record that remains is how a retry finds the rest.
    for (const node of missingNodes(group)) await this.#directory.agent(node).abort(tokenOf(group), signal);
    for (const { node } of group.records) await this.#directory.agent(node).deleteGroup(id, signal);
  }

  async #find(
    id: string,
    signal: AbortSignal,
  ): Promise<{ readonly group?: FoundGroup; readonly away: ReadonlyMap<NodeName, unknown> }> {
    if (!isGroupId(id)) return { away: new Map() };
    const { found, away } = await askEveryNode(this.#directory, (agent) => agent.getGroup(id, signal));
    const intent = found[0]?.group;
    return intent ? { group: { intent, records: found }, away } : { away };
  }

  /**
   * Commits a decided group on the nodes that a crash kept from it. With one node there is never anything to do.
   * Not under the caller's signal: from the first commit on there is no way back.
   */
  async #finish(group: FoundGroup, away: ReadonlyMap<NodeName, unknown>): Promise<readonly CutRecord[]> {
    const missing = missingNodes(group);
    needAnswerOf(away, missing);
    const { signal } = new AbortController();
    const finished = missing.map(async (node) => {
      try {
        return await this.#directory.agent(node).commit(tokenOf(group), signal);
      } catch (error) {
        if (!hasCode(error, 'not-found')) throw error;
        // Its part is gone, so somebody began to delete the group.
        throw new DriverError('aborted', `group snapshot ${group.intent.id} is half deleted; delete it first`, {
          cause: error,
        });
      }
    });
    return [...group.records, ...(await Promise.all(finished))];
  }

  async #confirmVolumes(volumeIds: readonly VolumeId[], signal: AbortSignal): Promise<void> {
    const volumes = await Promise.all(
      volumeIds.map(async (id) => agentOf(this.#directory, 'volume', id)?.getVolume(id, signal)),
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

/** CSI specification, "DeleteVolumeGroupSnapshot Errors" and "GetVolumeGroupSnapshot Errors": snapshot list mismatch. */
function confirmMembers(intent: GroupIntent, snapshotIds: readonly string[]): void {
  const own = intent.volumeIds.map((volumeId) => memberIdOf(intent, volumeId));
  const given = new Set(snapshotIds);
  if (given.size !== own.length || !isSubset(own, [...given])) {
    throw invalidArgument(
      'snapshot_ids',
      `are not the ${own.length} snapshots of group snapshot ${intent.id} (${snapshotIds.length} were given)`,
    );
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

function memberIdOf(intent: GroupIntent, volumeId: VolumeId): string {
  return memberSnapshotId(nodeOf('volume', volumeId) ?? '', intent.name, volumeId);
}

function nodesOf(intent: GroupIntent): ReadonlySet<NodeName> {
  return new Set(intent.volumeIds.flatMap((id) => nodeOf('volume', id) ?? []));
}

function missingNodes({ intent, records }: FoundGroup): readonly NodeName[] {
  const present = new Set(records.map(({ node }) => node));
  return [...nodesOf(intent)].filter((node) => !present.has(node));
}

function tokenOf({ records }: FoundGroup): string {
  return records[0]?.token ?? '';
}

function isSubset(some: readonly string[], all: readonly string[]): boolean {
  const set = new Set(all);
  return some.every((each) => set.has(each));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
