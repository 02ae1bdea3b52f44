import type { Bytes } from '../core/bytes.ts';
import type { GroupId, NodeName, SnapshotId, VolumeId } from '../core/ids.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { AccessType, ContentSource, FsType } from '../core/volume.ts';

/** Bytes; both ends may be absent, and `limitBytes >= requiredBytes > 0` holds once parsed. */
export interface CapacityRange {
  readonly requiredBytes?: Bytes;
  readonly limitBytes?: Bytes;
}

/** Where a volume may be: empty `requisite` means anywhere; `preferred` is in the order of preference. */
export interface Placement {
  readonly requisite: readonly NodeName[];
  readonly preferred: readonly NodeName[];
}

export interface CreateVolumeRequest {
  readonly name: string;
  readonly range: CapacityRange;
  readonly source?: ContentSource;
  readonly placement: Placement;
  readonly accessType?: AccessType;
  /** What the volume will be mounted as; absent for a block volume, and where the caller doesn't care. */
  readonly fsType?: FsType;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface CreateSnapshotRequest {
  readonly name: string;
  readonly sourceVolumeId: VolumeId;
  /** From where the snapshot must be usable. */
  readonly placement: Placement;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface CreateGroupRequest {
  readonly name: string;
  /** In the order of the call, without duplicates. */
  readonly volumeIds: readonly VolumeId[];
  readonly parameters: Readonly<Record<string, string>>;
  /** False only in the test build. */
  readonly fenced: boolean;
  /** False only in the test build. */
  readonly barrier: boolean;
}

/** A group, and the ids of the snapshots that the caller takes for its members. */
export interface GroupRequest {
  readonly id: GroupId;
  readonly snapshotIds: readonly SnapshotId[];
}

/** A committed group snapshot, whole. */
export interface GroupSnapshot {
  readonly id: GroupId;
  /** One for each member, in the order of their volumes' ids. */
  readonly snapshots: readonly Snapshot[];
  /** Milliseconds since the epoch, stored: a retry answers the same time. */
  readonly createdAt: number;
}

/** A page as the CSI asks for it: a token from an earlier page, a limit (0: as many as a page may have). */
export interface ListRequest {
  readonly startingToken: string;
  readonly maxEntries: number;
}

export interface ListSnapshotsRequest extends ListRequest {
  readonly snapshotId?: SnapshotId;
  readonly sourceVolumeId?: VolumeId;
}

export interface ListResult<T> {
  readonly items: readonly T[];
  /** Empty when this is the last page. */
  readonly nextToken: string;
}

/** What can be promised to a new volume, in bytes. */
export interface AvailableCapacity {
  readonly availableBytes: Bytes;
  readonly maxVolumeBytes: Bytes;
  readonly minVolumeBytes: Bytes;
}
