import { DriverError, invalidArgument, notFound } from '../core/errors.ts';
import { type SnapshotId, snapshotId, type VolumeId } from '../core/ids.ts';
import type { NodeDirectory } from '../core/node-agent.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { RoundCoordinator } from '../fence/coordinator.ts';
import { type Fetch, listPages } from './list-pages.ts';
import { agentOf } from './nodes.ts';
import { decodeToken } from './page-tokens.ts';
import { isAllowedOn } from './placement.ts';
import type { CreateSnapshotRequest, ListResult, ListSnapshotsRequest, Placement } from './requests.ts';

/** Leads rounds; `fence/coordinator.ts`. */
export type Rounds = Pick<RoundCoordinator, 'run'>;

/** The controller's policy for snapshots. Locks are the caller's, as in VolumeService. */
export class SnapshotService {
  readonly #directory: NodeDirectory;
  readonly #rounds: Rounds;

  constructor(directory: NodeDirectory, rounds: Rounds) {
    this.#directory = directory;
    this.#rounds = rounds;
  }

  /**
   * Find by name; same source: answer it, also when its volume has gone since; other source: `already-exists`; none: a
   * round of one member. Asked is the node of the source alone, so of one name there may be a snapshot on each node.
   * @throws DriverError already-exists, not-found (volume), resource-exhausted (space, or topology), and what a round throws
   */
  async create(request: CreateSnapshotRequest, signal: AbortSignal): Promise<Snapshot> {
    const { name, sourceVolumeId } = request;
    const agent = agentOf(this.#directory, 'volume', sourceVolumeId);
    if (!agent) throw notFound('volume', sourceVolumeId);
    const existing = await agent.getSnapshot(snapshotId(agent.node, name), signal);
    if (existing) return confirmSame(existing, request);
    if (!(await agent.getVolume(sourceVolumeId, signal))) throw notFound('volume', sourceVolumeId);
    confirmUsable(request.placement, agent.node);

    const id = snapshotId(agent.node, name);
    const members = [{ volumeId: sourceVolumeId, snapshotId: id }];
    const records = await this.#rounds.run({ name, members, fenced: true }, signal);
    const made = records.flatMap(({ snapshots }) => snapshots).find((snapshot) => snapshot.id === id);
    if (!made) throw new DriverError('internal', `the round of snapshot ${id} was committed without it`);
    return made;
  }

  /**
   * Of an id that is unknown or not ours: succeeds.
   * @throws DriverError invalid-argument for a member of a group (CSI specification, "DeleteSnapshot Errors": snapshot is
   *   part of a group), failed-precondition while it is in use
   */
  async delete(id: SnapshotId, signal: AbortSignal): Promise<void> {
    const agent = agentOf(this.#directory, 'snapshot', id);
    const snapshot = await agent?.getSnapshot(id, signal);
    if (snapshot?.groupId !== undefined) {
      throw invalidArgument(
        'snapshot_id',
        `${id} is part of group snapshot ${snapshot.groupId}, which is deleted as a whole`,
      );
    }
    // Also of what can't be found: an earlier deletion may not have been finished.
    await agent?.deleteSnapshot(id, signal);
  }

  /** @throws DriverError not-found */
  async get(id: SnapshotId, signal: AbortSignal): Promise<Snapshot> {
    const snapshot = await agentOf(this.#directory, 'snapshot', id)?.getSnapshot(id, signal);
    if (!snapshot) throw notFound('snapshot', id);
    return snapshot;
  }

  /**
   * Snapshots, those of groups too. An id that is unknown filters everything out, and is no error.
   * @throws DriverError aborted for an invalid token
   */
  async list(request: ListSnapshotsRequest, signal: AbortSignal): Promise<ListResult<Snapshot>> {
    if (request.snapshotId !== undefined) return await this.#listOne(request.snapshotId, request, signal);
    const { sourceVolumeId } = request;
    const filter = sourceVolumeId === undefined ? {} : { sourceVolumeId };
    const nodes = this.#nodesOf(sourceVolumeId);
    const fetch: Fetch<Snapshot> = (agent, page, during) => agent.listSnapshots(filter, page, during);
    return await listPages(this.#directory, nodes, 'snapshot', request, fetch, signal);
  }

  async #listOne(id: SnapshotId, request: ListSnapshotsRequest, signal: AbortSignal): Promise<ListResult<Snapshot>> {
    if (request.startingToken !== '') decodeToken('snapshot', request.startingToken);
    const snapshot = await agentOf(this.#directory, 'snapshot', id)?.getSnapshot(id, signal);
    const { sourceVolumeId = snapshot?.sourceVolumeId } = request;
    const items = snapshot && snapshot.sourceVolumeId === sourceVolumeId ? [snapshot] : [];
    return { items, nextToken: '' };
  }

  /** A volume's snapshots are where it is. */
  #nodesOf(sourceVolumeId: VolumeId | undefined): readonly string[] {
    if (sourceVolumeId === undefined) return this.#directory.nodes();
    const agent = agentOf(this.#directory, 'volume', sourceVolumeId);
    return agent ? [agent.node] : [];
  }
}

function confirmSame(snapshot: Snapshot, request: CreateSnapshotRequest): Snapshot {
  if (snapshot.sourceVolumeId !== request.sourceVolumeId) {
    throw new DriverError(
      'already-exists',
      `a snapshot named ${JSON.stringify(request.name)} exists, and its source is volume ${snapshot.sourceVolumeId}`,
    );
  }
  confirmUsable(request.placement, snapshot.node);
  return snapshot;
}

/** CSI specification, "CreateSnapshot Errors": a snapshot can't be created with the specified topology constraints. */
function confirmUsable(placement: Placement, node: string): void {
  if (isAllowedOn(placement, node)) return;
  throw new DriverError(
    'resource-exhausted',
    `accessibility_requirements: a snapshot can be used where its volume is, on node ${node}, and nowhere else`,
  );
}
