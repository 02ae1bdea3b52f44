import type { Bytes } from './bytes.ts';
import type { GroupId, NodeName, SnapshotId, VolumeId } from './ids.ts';
import type { GroupIntent, MemberEvidence, RoundToken } from './round.ts';
import type { Content } from './volume.ts';

export interface Snapshot {
  readonly id: SnapshotId;
  /** The CO's name for it; of a group member: the group's name. */
  readonly name: string;
  readonly node: NodeName;
  readonly sourceVolumeId: VolumeId;
  /** Size of the source volume at the cut: the least size of a volume restored from it. */
  readonly sizeBytes: Bytes;
  /** Space that the source occupied at the cut, bytes: what the snapshot may come to hold alone. */
  readonly heldBytes: Bytes;
  /** What the source held at the cut. */
  readonly content: Content;
  /** Milliseconds since the epoch, stored: a retry answers the same time. */
  readonly createdAt: number;
  readonly groupId?: GroupId;
}

/**
 * What one node keeps of one committed round: every snapshot it cut, and the proof. One record, written once and
 * atomically, so that committing is a single step and a node never shows half of its members.
 * A single CreateSnapshot is a record with one snapshot and no group.
 */
export interface CutRecord {
  readonly token: RoundToken;
  readonly node: NodeName;
  readonly group?: GroupIntent;
  readonly snapshots: readonly Snapshot[];
  readonly evidence: readonly MemberEvidence[];
}
