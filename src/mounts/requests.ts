import type { Bytes } from '../core/bytes.ts';
import type { Capability } from '../core/capability.ts';
import type { VolumeId } from '../core/ids.ts';

/** All paths are absolute, normalised, and free of `..`: `csi/parse` saw to it. */
export interface StageRequest {
  readonly volumeId: VolumeId;
  readonly stagingPath: string;
  readonly capability: Capability;
}

export interface UnstageRequest {
  readonly volumeId: VolumeId;
  readonly stagingPath: string;
}

export interface PublishRequest {
  readonly volumeId: VolumeId;
  readonly stagingPath: string;
  readonly targetPath: string;
  readonly capability: Capability;
  readonly readOnly: boolean;
}

export interface UnpublishRequest {
  readonly volumeId: VolumeId;
  readonly targetPath: string;
}

export interface StatsRequest {
  readonly volumeId: VolumeId;
  readonly volumePath: string;
}

export interface ExpandRequest {
  readonly volumeId: VolumeId;
  readonly volumePath: string;
  /** What the caller expects the volume to have. */
  readonly requiredBytes?: Bytes | undefined;
  readonly limitBytes?: Bytes | undefined;
}

export type Usage =
  | { readonly unit: 'bytes'; readonly total: Bytes; readonly used: Bytes; readonly available: Bytes }
  | { readonly unit: 'inodes'; readonly total: bigint; readonly used: bigint; readonly available: bigint };

/**
 * The node's policy, implemented by `NodeService` in node-service.ts.
 * @throws DriverError not-found (volume, or path is not this volume's), failed-precondition (not staged, or
 *   otherwise; RWOP target taken; foreign content), invalid-argument (fsType differs from the volume's), already-exists
 *   (staged or published there otherwise)
 */
export interface NodeOperations {
  stage(request: StageRequest, signal: AbortSignal): Promise<void>;
  unstage(request: UnstageRequest, signal: AbortSignal): Promise<void>;
  publish(request: PublishRequest, signal: AbortSignal): Promise<void>;
  unpublish(request: UnpublishRequest, signal: AbortSignal): Promise<void>;
  stats(request: StatsRequest, signal: AbortSignal): Promise<readonly Usage[]>;
  /**
   * Grows the filesystem to its device, whose size the controller has set.
   * @returns the capacity now, in bytes
   * @throws DriverError out-of-range when that is not what the caller expects
   */
  expand(request: ExpandRequest, signal: AbortSignal): Promise<Bytes>;
}
