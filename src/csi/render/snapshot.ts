import type { Snapshot } from '../../core/snapshot.ts';
import type { Snapshot as SnapshotMessage } from '../../gen/csi/v1/Snapshot.ts';
import type { VolumeGroupSnapshot } from '../../gen/csi/v1/VolumeGroupSnapshot.ts';
import type { Wire } from '../../rpc/types.ts';
import type { GroupSnapshot } from '../../volumes/requests.ts';
import type { CsiOptions } from '../options.ts';
import { renderTimestamp } from './timestamp.ts';
import { renderTopology } from './topology.ts';

type Options = Pick<CsiOptions, 'snapshotTopology'>;

/** A snapshot is listed when it is committed, so it is always ready to use. */
export function renderSnapshot(snapshot: Snapshot, { snapshotTopology }: Options): Wire<SnapshotMessage> {
  return {
    snapshotId: snapshot.id,
    sourceVolumeId: snapshot.sourceVolumeId,
    sizeBytes: String(snapshot.sizeBytes),
    creationTime: renderTimestamp(snapshot.createdAt),
    readyToUse: true,
    groupSnapshotId: snapshot.groupId ?? '',
    // Only for a plugin that offers SNAPSHOT_ACCESSIBILITY_CONSTRAINTS (CSI specification, Snapshot).
    accessibleTopology: snapshotTopology ? [renderTopology(snapshot.node)] : [],
  };
}

export function renderGroupSnapshot(group: GroupSnapshot, options: Options): Wire<VolumeGroupSnapshot> {
  return {
    groupSnapshotId: group.id,
    snapshots: group.snapshots.map((snapshot) => renderSnapshot(snapshot, options)),
    creationTime: renderTimestamp(group.createdAt),
    readyToUse: true,
  };
}
