import type { AttachedDevice, Examination, FenceTarget } from '../core/backend.ts';
import type { Bytes } from '../core/bytes.ts';
import type { PoolCapacity } from '../core/capacity.ts';
import type { VolumeId } from '../core/ids.ts';
import type { MemberEvidence, RoundPlan, RoundToken } from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';
import type { Content, Volume, VolumeSpec } from '../core/volume.ts';
import type { PoolIndex } from './pool-index.ts';

/** What a backend brings. Every part keeps the index in step with the pool: the pool first, then the index. */
export interface PoolParts {
  readonly index: PoolIndex;
  readonly volumes: {
    create(spec: VolumeSpec, signal: AbortSignal): Promise<Volume>;
    /** Also of what is not in the index: what a deletion that failed half way has left. */
    delete(id: VolumeId): Promise<void>;
    expand(id: VolumeId, capacityBytes: Bytes): Promise<Volume>;
    setContent(id: VolumeId, content: Content): Promise<Volume>;
  };
  readonly devices: {
    of(id: VolumeId): Promise<readonly AttachedDevice[]>;
    attach(volume: Volume, readOnly: boolean): Promise<AttachedDevice>;
    detach(id: VolumeId): Promise<void>;
    fenceTargets(volumes: readonly Volume[]): Promise<readonly FenceTarget[]>;
  };
  readonly cuts: {
    assertWithin(budgetMs: number, volumes: readonly Volume[]): Promise<void>;
    prepare(plan: RoundPlan, signal: AbortSignal): Promise<void>;
    cutMember(token: RoundToken, volumeId: VolumeId): Promise<void>;
    seal(token: RoundToken, evidence: readonly MemberEvidence[]): Promise<void>;
    commit(token: RoundToken): Promise<CutRecord>;
    abort(token: RoundToken): Promise<void>;
    /** Again, after it has failed: removes what there still is of it. */
    delete(record: CutRecord): Promise<void>;
  };
  /** What the pool has and can promise when so much is promised. */
  measure(promisedBytes: Bytes): Promise<PoolCapacity>;
  /** See `Backend.examine`; of volumes that there are. */
  examine(volumes: readonly Volume[], signal: AbortSignal): Promise<readonly Examination[]>;
  /** What a volume occupies now: what a snapshot of it may come to hold alone. */
  heldBytes(id: VolumeId): Promise<Bytes>;
}
