import type { Backend, SnapshotFilter } from './backend.ts';
import type { Bytes } from './bytes.ts';
import type { PoolCapacity } from './capacity.ts';
import type { GroupId, NodeName, SnapshotId, VolumeId } from './ids.ts';
import type { Page, PageRequest } from './paging.ts';
import type { CutNode, FrozenNode, PreparedNode, RoundPlan, RoundToken } from './round.ts';
import type { CutRecord, Snapshot } from './snapshot.ts';
import type { Volume, VolumeSpec } from './volume.ts';

/**
 * What the controller's side asks of one node. In `serve` the agent is in the process; across nodes it is a client.
 * Every method may fail with `unavailable` (the node is away), `cancelled` or `deadline-exceeded`.
 */
export interface NodeAgent {
  readonly node: NodeName;
  /** Limits of the node's backend. */
  readonly limits: Pick<Backend, 'sizeGranularity' | 'minVolumeBytes' | 'maxVolumeBytes'>;

  capacity(signal: AbortSignal): Promise<PoolCapacity>;
  createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<Volume>;
  getVolume(id: VolumeId, signal: AbortSignal): Promise<Volume | undefined>;
  listVolumes(page: PageRequest, signal: AbortSignal): Promise<Page<Volume>>;
  deleteVolume(id: VolumeId, signal: AbortSignal): Promise<void>;
  expandVolume(id: VolumeId, capacityBytes: Bytes, signal: AbortSignal): Promise<Volume>;
  getSnapshot(id: SnapshotId, signal: AbortSignal): Promise<Snapshot | undefined>;
  listSnapshots(filter: SnapshotFilter, page: PageRequest, signal: AbortSignal): Promise<Page<Snapshot>>;
  getGroup(id: GroupId, signal: AbortSignal): Promise<CutRecord | undefined>;
  deleteSnapshot(id: SnapshotId, signal: AbortSignal): Promise<void>;
  deleteGroup(id: GroupId, signal: AbortSignal): Promise<void>;

  /** The steps of the round (docs/design.md, "The round"). */
  prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode>;
  freeze(token: RoundToken, signal: AbortSignal): Promise<FrozenNode>;
  cut(token: RoundToken, signal: AbortSignal): Promise<CutNode>;
  commit(token: RoundToken, signal: AbortSignal): Promise<CutRecord>;
  abort(token: RoundToken, signal: AbortSignal): Promise<void>;
}

/** Which agents there are. */
export interface NodeDirectory {
  /** @throws DriverError unavailable when the node is not known or away */
  agent(node: NodeName): NodeAgent;
  nodes(): readonly NodeName[];
}
