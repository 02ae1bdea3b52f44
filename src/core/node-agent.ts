import type { SnapshotFilter, VolumeLimits } from './backend.ts';
import type { Bytes } from './bytes.ts';
import type { PoolCapacity } from './capacity.ts';
import type { HealthFilter, VolumeHealth } from './health.ts';
import type { GroupId, NodeName, SnapshotId, VolumeId } from './ids.ts';
import type { Page, PageRequest } from './paging.ts';
import type { CutNode, Decision, FrozenNode, PreparedNode, RoundPlan, RoundToken, SealedPart } from './round.ts';
import type { CutRecord, Snapshot } from './snapshot.ts';
import type { Claim, NewVolume, Volume } from './volume.ts';

/**
 * What the controller's side asks of one node. In `serve` the agent is in the process; across nodes it is a client.
 *
 * Every method may fail with `unavailable` (the node is away), `cancelled` or `deadline-exceeded`; what was asked for may
 * then have been done or not, and may be asked again. What changes something takes the node's locks, and fails with
 * `aborted` while somebody else has them.
 */
export interface NodeAgent {
  readonly node: NodeName;

  /** Limits of the node's backend: the same for as long as its agent runs. */
  limits(signal: AbortSignal): Promise<VolumeLimits>;
  capacity(signal: AbortSignal): Promise<PoolCapacity>;
  /** @throws DriverError aborted when its claim is not the last one here */
  createVolume(volume: NewVolume, signal: AbortSignal): Promise<Volume>;
  /**
   * Makes this the last claim of the volume here: who claimed it before can't create it any more. Nothing is kept: a restart
   * forgets it (docs/adr/0012-a-volume-that-may-be-anywhere.md).
   * @returns the volume, when it is here already
   */
  claimVolume(id: VolumeId, claim: Claim, signal: AbortSignal): Promise<Volume | undefined>;
  /** @throws DriverError aborted when it is not the last claim of the volume here, or forgotten */
  confirmClaim(id: VolumeId, claim: Claim, signal: AbortSignal): Promise<void>;
  getVolume(id: VolumeId, signal: AbortSignal): Promise<Volume | undefined>;
  listVolumes(page: PageRequest, signal: AbortSignal): Promise<Page<Volume>>;
  /**
   * Volumes that something is wrong with. Looks at each of those that there are until the page is full.
   * @throws DriverError unimplemented by an agent of an earlier release
   */
  listUnhealthy(filter: HealthFilter, page: PageRequest, signal: AbortSignal): Promise<Page<VolumeHealth>>;
  deleteVolume(id: VolumeId, signal: AbortSignal): Promise<void>;
  expandVolume(id: VolumeId, capacityBytes: Bytes, signal: AbortSignal): Promise<Volume>;
  getSnapshot(id: SnapshotId, signal: AbortSignal): Promise<Snapshot | undefined>;
  listSnapshots(filter: SnapshotFilter, page: PageRequest, signal: AbortSignal): Promise<Page<Snapshot>>;
  getGroup(id: GroupId, signal: AbortSignal): Promise<CutRecord | undefined>;
  deleteSnapshot(id: SnapshotId, signal: AbortSignal): Promise<void>;
  deleteGroup(id: GroupId, signal: AbortSignal): Promise<void>;

  /**
   * The steps of the round (docs/design.md, "The round").
   * @throws DriverError aborted when an earlier round of the group is still under way here, or has been committed
   */
  prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode>;
  /**
   * The coordinator lives, and waits for other nodes: without such signs what is prepared or sealed is given up. Never
   * begins a round: what a node that has restarted finds may differ from what it has answered.
   * @throws DriverError aborted when the round is not one that waits here
   */
  wait(token: RoundToken, signal: AbortSignal): Promise<void>;
  freeze(token: RoundToken, signal: AbortSignal): Promise<FrozenNode>;
  cut(token: RoundToken, signal: AbortSignal): Promise<CutNode>;
  /** Again for what is committed: returns the same. @throws DriverError aborted for what was not cut, or was aborted */
  commit(token: RoundToken, signal: AbortSignal): Promise<CutRecord>;
  /** Again, or of what is not known: succeeds, and it can't begin any more. @throws DriverError failed-precondition: committed */
  abort(token: RoundToken, signal: AbortSignal): Promise<void>;
  /**
   * To somebody who does not lead the round, at the home of its group: what is decided. A round that nobody leads any more
   * is aborted by this; one that may still be led is `pending`.
   */
  settle(token: RoundToken, signal: AbortSignal): Promise<Decision>;
  /** Parts of rounds of groups that wait for their decision. */
  sealedParts(signal: AbortSignal): Promise<readonly SealedPart[]>;
}

/** Which agents there are. */
export interface NodeDirectory {
  /** @throws DriverError unavailable when the node is not known */
  agent(node: NodeName): NodeAgent;
  /** Whether there is such a node, away or not. As `agent`, it costs the same however many there are. */
  has(node: NodeName): boolean;
  /** The nodes there are, those that are away too, in the order of their names. May differ from call to call. */
  nodes(): readonly NodeName[];
}
