import type { Bytes } from './bytes.ts';
import type { PoolCapacity } from './capacity.ts';
import type { VolumeCondition } from './health.ts';
import type { GroupId, SnapshotId, VolumeId } from './ids.ts';
import type { Page, PageRequest } from './paging.ts';
import type { MemberEvidence, RoundPlan, RoundToken, SealedPart } from './round.ts';
import type { CutRecord, Snapshot } from './snapshot.ts';
import type { Content, Volume, VolumeSpec } from './volume.ts';

/** A block device of a volume as the kernel knows it now. */
export interface AttachedDevice {
  /** `/dev/loop7` */
  readonly path: string;
  /** `7:7`, as in mountinfo. */
  readonly devNumber: string;
  readonly readOnly: boolean;
}

/** A volume as its pool sees it. */
export interface Examination {
  readonly devices: readonly AttachedDevice[];
  /** What is wrong with it, below any filesystem. */
  readonly conditions: readonly VolumeCondition[];
}

/** Something that can be stopped, and let go on. */
export type FenceLayer =
  /** A mounted filesystem, by FIFREEZE. */
  | {
      readonly kind: 'filesystem';
      readonly mountPoint: string;
      /** `7:3`, of the block device below. */
      readonly devNumber: string;
    }
  /** A device-mapper device, by suspending it. */
  | {
      readonly kind: 'device';
      /** As device-mapper names it. */
      readonly name: string;
      readonly devNumber: string;
      /** The kernel is to freeze a filesystem that somebody may have on it; false under a layer that did. */
      readonly lockFs: boolean;
    };

/** How a member of a round is to be kept quiet. */
export type FenceTarget =
  /** Stopped from the top down, in this order; let go from the bottom up. */
  | { readonly kind: 'fenced'; readonly layers: readonly [FenceLayer, ...FenceLayer[]] }
  | { readonly kind: 'idle' }
  | { readonly kind: 'unfenceable'; readonly reason: string; readonly advice: string };

export interface SnapshotFilter {
  readonly sourceVolumeId?: VolumeId;
}

/** In bytes. */
export interface VolumeLimits {
  /** Sizes of volumes are multiples of this. */
  readonly sizeGranularity: Bytes;
  readonly minVolumeBytes: Bytes;
  readonly maxVolumeBytes: Bytes;
}

/**
 * The port that turns one pool into volumes and snapshots. Implementations live in `backends/`, one folder each, and are
 * held to `test/contract/backend.ts`.
 *
 * INVARIANTS
 * - Every method that changes something is durable when it returns, atomic under a crash at any line, and idempotent:
 *   creating what exists returns it (when the specification differs: `already-exists`), deleting what is gone succeeds.
 * - Callers hold the lock of every id they pass; a backend does not lock ids.
 * - What `get*` and `list*` return is committed; a cut that was not committed is never seen.
 * - A signal cancels waits; it never leaves half a thing.
 */
export interface Backend extends VolumeLimits {
  readonly name: string;

  capacity(signal: AbortSignal): Promise<PoolCapacity>;

  /** @throws DriverError resource-exhausted (pool), not-found (source), already-exists, out-of-range (smaller than source) */
  createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<Volume>;
  getVolume(id: VolumeId): Promise<Volume | undefined>;
  listVolumes(page: PageRequest): Promise<Page<Volume>>;
  /** @throws DriverError failed-precondition while the volume is attached */
  deleteVolume(id: VolumeId): Promise<void>;
  /** Grows the volume, and its device when attached; never shrinks. Filesystems are the node's business. */
  expandVolume(id: VolumeId, capacityBytes: Bytes, signal: AbortSignal): Promise<Volume>;
  setContent(id: VolumeId, content: Content): Promise<Volume>;

  /** Makes the volume a block device on this node; returns the present one when there is one of the same kind. */
  attach(id: VolumeId, options: { readonly readOnly: boolean }): Promise<AttachedDevice>;
  /** Every device the volume has now, read-only ones too. */
  devices(id: VolumeId): Promise<readonly AttachedDevice[]>;
  /** Detaches all devices of the volume, and verifies that they are gone. */
  detach(id: VolumeId): Promise<void>;

  /**
   * Looks for what is wrong with each of these, in their order, and changes nothing; one look, whatever their number. With
   * a volume that there is not nothing is wrong.
   */
  examine(ids: readonly VolumeId[], signal: AbortSignal): Promise<readonly Examination[]>;

  /** A volume without a source reads as zeros, whatever its place held before. */
  readonly blanksAreZeros: boolean;

  /** How to keep each of these quiet, in their order; looked at in one go, so that a large group costs one look. */
  fenceTargets(ids: readonly VolumeId[]): Promise<readonly FenceTarget[]>;
  /**
   * Whether `createVolume` from a volume in use wants its writers stopped by the caller, for a clean copy. Else it stops
   * them by itself, and can't while somebody else does.
   */
  readonly copiesStopped: boolean;
  /**
   * Outside the window: whether `cutMember` of all these will be done within so many milliseconds, as far as that can be
   * told beforehand.
   * @throws DriverError failed-precondition when not: says which volume it is, and what to do about it; not-found
   */
  assertCutWithin(budgetMs: number, ids: readonly VolumeId[]): Promise<void>;
  /** Outside the window: checks space, makes what can be made early. @throws DriverError resource-exhausted, not-found */
  prepareCut(plan: RoundPlan, signal: AbortSignal): Promise<void>;
  /** Inside the window: snapshots one member, uncommitted. `recordCut` or `abortCut` must follow. */
  cutMember(token: RoundToken, volumeId: VolumeId): Promise<void>;
  /**
   * After the thaw: makes the cut durable, still uncommitted: the promise that a commit will succeed.
   * The sweep at start removes what was not sealed, and what was sealed and is decided here (it was not); a sealed part of
   * a group whose home is another node waits for that node's decision.
   */
  sealCut(token: RoundToken, evidence: readonly MemberEvidence[]): Promise<void>;
  /** Makes the snapshots of a sealed cut visible, all at once. Committing twice succeeds. */
  commitCut(token: RoundToken): Promise<CutRecord>;
  /**
   * Deletes the snapshots of a cut that was not committed. Of an unknown token: succeeds. Called when nothing of the cut is
   * under way: not beside its `prepareCut`, `cutMember` or `sealCut`.
   * @throws DriverError failed-precondition for a cut that is committed
   */
  abortCut(token: RoundToken): Promise<void>;
  isCommitted(token: RoundToken): Promise<boolean>;
  /** Cuts of groups that are sealed, and neither committed nor aborted. */
  sealedCuts(): Promise<readonly SealedPart[]>;

  getSnapshot(id: SnapshotId): Promise<Snapshot | undefined>;
  listSnapshots(filter: SnapshotFilter, page: PageRequest): Promise<Page<Snapshot>>;
  /** The node's part of a committed group. */
  getGroup(id: GroupId): Promise<CutRecord | undefined>;
  /** @throws DriverError failed-precondition for a member of a group */
  deleteSnapshot(id: SnapshotId): Promise<void>;
  deleteGroup(id: GroupId): Promise<void>;
}
