import type { NodeName } from '../../core/ids.ts';
import type { CutRecord, Snapshot } from '../../core/snapshot.ts';
import type {
  CutRecord as WireRecord,
  CutRecord__Output as WireRecordOutput,
} from '../../gen/cofferdam/agent/v1/CutRecord.ts';
import type {
  Snapshot as WireSnapshot,
  Snapshot__Output as WireSnapshotOutput,
} from '../../gen/cofferdam/agent/v1/Snapshot.ts';
import type { Wire } from '../../rpc/types.ts';
import { readContent, writeContent } from './content.ts';
import { readId, readIdOn, readName, readNode, readSize, readToken, required } from './fields.ts';
import { readEvidence, readIntent, writeEvidence, writeIntent } from './round.ts';

export function writeSnapshot(snapshot: Snapshot): Wire<WireSnapshot> {
  const { id, name, node, sourceVolumeId, groupId } = snapshot;
  return {
    id,
    name,
    node,
    sourceVolumeId,
    sizeBytes: String(snapshot.sizeBytes),
    heldBytes: String(snapshot.heldBytes),
    content: writeContent(snapshot.content),
    createdAtMs: String(snapshot.createdAt),
    ...(groupId !== undefined && { groupId }),
  };
}

/** @throws DriverError invalid-argument for what is no snapshot of this node */
export function readSnapshot(node: NodeName, field: string, wire: WireSnapshotOutput | null): Snapshot {
  const { id, name, sourceVolumeId, groupId, content, ...sizes } = required(field, wire);
  return {
    id: readIdOn(node, `${field}.id`, 'snapshot', id),
    name: readName(`${field}.name`, name),
    node: readNode(node, `${field}.node`, sizes.node),
    sourceVolumeId: readIdOn(node, `${field}.source_volume_id`, 'volume', sourceVolumeId),
    sizeBytes: readSize(`${field}.size_bytes`, sizes.sizeBytes),
    heldBytes: BigInt(sizes.heldBytes),
    content: readContent(`${field}.content`, content),
    createdAt: Number(sizes.createdAtMs),
    ...(groupId !== undefined && { groupId: readId(`${field}.group_id`, 'group', groupId) }),
  };
}

export function writeRecord({ token, node, group, snapshots, evidence }: CutRecord): Wire<WireRecord> {
  return {
    token,
    node,
    ...(group && { group: writeIntent(group) }),
    snapshots: snapshots.map(writeSnapshot),
    evidence: evidence.map(writeEvidence),
  };
}

/** @throws DriverError invalid-argument for what is no record of this node */
export function readRecord(node: NodeName, field: string, wire: WireRecordOutput): CutRecord {
  const { token, group, snapshots, evidence } = wire;
  return {
    token: readToken(`${field}.token`, token),
    node: readNode(node, `${field}.node`, wire.node),
    ...(group && { group: readIntent(`${field}.group`, group) }),
    snapshots: snapshots.map((each, i) => readSnapshot(node, `${field}.snapshots[${i}]`, each)),
    evidence: evidence.map((each, i) => readEvidence(node, `${field}.evidence[${i}]`, each)),
  };
}
