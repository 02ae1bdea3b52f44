import type { Bytes } from '../core/bytes.ts';
import type { NodeName, VolumeId } from '../core/ids.ts';
import type { ContentSource } from '../core/volume.ts';

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
  readonly parameters: Readonly<Record<string, string>>;
}

export interface CreateSnapshotRequest {
  readonly name: string;
  readonly sourceVolumeId: VolumeId;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface CreateGroupRequest {
  readonly name: string;
  /** In the order of the call, without duplicates. */
  readonly volumeIds: readonly VolumeId[];
  readonly parameters: Readonly<Record<string, string>>;
  /** False only in the test build. */
  readonly fenced: boolean;
}

/** A page as the CSI asks for it: a token from an earlier page, a limit (0 = all). */
export interface ListRequest {
  readonly startingToken: string;
  readonly maxEntries: number;
}

export interface ListResult<T> {
  readonly items: readonly T[];
  /** Empty when this is the last page. */
  readonly nextToken: string;
}
