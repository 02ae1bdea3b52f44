/**
 * What all backends with an index in memory have in common: looking up, comparing, and promising space. A backend brings
 * the parts that know its pool.
 */
import type {
  AttachedDevice,
  Backend,
  Examination,
  FenceTarget,
  SnapshotFilter,
  VolumeLimits,
} from '../core/backend.ts';
import { type Bytes, maxBytes } from '../core/bytes.ts';
import { assertPromisable, type PoolCapacity } from '../core/capacity.ts';
import { DriverError, notFound } from '../core/errors.ts';
import type { GroupId, SnapshotId, VolumeId } from '../core/ids.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import type { MemberEvidence, RoundPlan, RoundToken, SealedPart } from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import type { Content, Volume, VolumeSpec } from '../core/volume.ts';
import { Deletions } from './deletions.ts';
import { noSpaceIsExhausted } from './no-space.ts';
import type { PoolParts } from './pool-parts.ts';
import { sameVolume } from './same-volume.ts';

export abstract class PoolBackend implements Backend, AsyncDisposable {
  abstract readonly name: string;
  abstract readonly copiesStopped: boolean;
  abstract readonly blanksAreZeros: boolean;
  readonly sizeGranularity: Bytes;
  readonly minVolumeBytes: Bytes;
  readonly maxVolumeBytes: Bytes;
  readonly #parts: PoolParts;
  readonly #deletions: Deletions;
  /** Promised to calls that have not written their record yet. */
  #pendingBytes: Bytes = 0n;
  /** Space promised to cuts, by what gives it back, until they are sealed: from then on their record counts. */
  readonly #cutReserves = new Map<RoundToken, () => void>();

  protected constructor(parts: PoolParts, limits: VolumeLimits) {
    this.#parts = parts;
    this.#deletions = new Deletions(parts.index, (record) => parts.cuts.delete(record));
    this.sizeGranularity = limits.sizeGranularity;
    this.minVolumeBytes = limits.minVolumeBytes;
    this.maxVolumeBytes = limits.maxVolumeBytes;
  }

  abstract [Symbol.asyncDispose](): Promise<void>;

  async capacity(): Promise<PoolCapacity> {
    return await this.#parts.measure(this.#parts.index.promisedBytes + this.#pendingBytes);
  }

  async createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<Volume> {
    const present = this.#parts.index.volumes.get(spec.id);
    if (present) return sameVolume(present, spec);
    return await this.#promising(spec.capacityBytes, `volume ${JSON.stringify(spec.name)}`, () =>
      this.#parts.volumes.create(spec, signal),
    );
  }

  async getVolume(id: VolumeId): Promise<Volume | undefined> {
    return this.#parts.index.volumes.get(id);
  }

  async listVolumes(page: PageRequest): Promise<Page<Volume>> {
    return this.#parts.index.volumes.page(page);
  }

  async deleteVolume(id: VolumeId): Promise<void> {
    await this.#parts.volumes.delete(id);
  }

  async expandVolume(id: VolumeId, capacityBytes: Bytes): Promise<Volume> {
    const present = this.#volume(id).capacityBytes;
    const more = capacityBytes > present ? capacityBytes - present : 0n;
    if (more === 0n) return await this.#parts.volumes.expand(id, capacityBytes);
    return await this.#promising(more, `expanding volume ${id}`, () => this.#parts.volumes.expand(id, capacityBytes));
  }

  async setContent(id: VolumeId, content: Content): Promise<Volume> {
    return await noSpaceIsExhausted(() => this.#parts.volumes.setContent(id, content));
  }

  async attach(id: VolumeId, { readOnly }: { readonly readOnly: boolean }): Promise<AttachedDevice> {
    return await this.#parts.devices.attach(this.#volume(id), readOnly);
  }

  async devices(id: VolumeId): Promise<readonly AttachedDevice[]> {
    return this.#parts.index.volumes.get(id) ? await this.#parts.devices.of(id) : [];
  }

  async detach(id: VolumeId): Promise<void> {
    if (this.#parts.index.volumes.get(id)) await this.#parts.devices.detach(id);
  }

  async examine(ids: readonly VolumeId[], signal: AbortSignal): Promise<readonly Examination[]> {
    const { volumes } = this.#parts.index;
    const present = ids.flatMap((id) => volumes.get(id) ?? []);
    const examined = await this.#parts.examine(present, signal);
    // That an image is missing says nothing of a volume that was deleted meanwhile, or made anew.
    const found = present.flatMap(({ id, createdAt }, i) =>
      volumes.get(id)?.createdAt === createdAt ? [[id, examined[i]] as const] : [],
    );
    const byId = new Map(found);
    return ids.map((id) => byId.get(id) ?? { devices: [], conditions: [] });
  }

  async fenceTargets(ids: readonly VolumeId[]): Promise<readonly FenceTarget[]> {
    return await this.#parts.devices.fenceTargets(ids.map((id) => this.#volume(id)));
  }

  async assertCutWithin(budgetMs: number, ids: readonly VolumeId[]): Promise<void> {
    await this.#parts.cuts.assertWithin(
      budgetMs,
      ids.map((id) => this.#volume(id)),
    );
  }

  async prepareCut(plan: RoundPlan, signal: AbortSignal): Promise<void> {
    // Nobody asks for the deletion of what was there before once there is another of this name.
    for (const id of plan.group ? [plan.group.id] : plan.members.map(({ snapshotId }) => snapshotId)) {
      await this.#deletions.finish(id);
    }
    let held: Bytes = 0n;
    for (const { volumeId } of plan.members) {
      if (!this.#parts.index.volumes.get(volumeId)) throw notFound('volume', volumeId);
      held += await this.#parts.heldBytes(volumeId);
    }
    this.#cutReserves.set(plan.token, await this.#reserve(held, `snapshot ${JSON.stringify(plan.name)}`));
    try {
      await noSpaceIsExhausted(() => this.#parts.cuts.prepare(plan, signal));
    } catch (error) {
      this.#releaseCut(plan.token);
      throw error;
    }
  }

  async cutMember(token: RoundToken, volumeId: VolumeId): Promise<void> {
    await noSpaceIsExhausted(() => this.#parts.cuts.cutMember(token, volumeId));
  }

  async sealCut(token: RoundToken, evidence: readonly MemberEvidence[]): Promise<void> {
    await noSpaceIsExhausted(() => this.#parts.cuts.seal(token, evidence));
    this.#releaseCut(token);
  }

  async commitCut(token: RoundToken): Promise<CutRecord> {
    return await this.#parts.cuts.commit(token);
  }

  async abortCut(token: RoundToken): Promise<void> {
    await this.#parts.cuts.abort(token);
    this.#releaseCut(token);
  }

  async isCommitted(token: RoundToken): Promise<boolean> {
    return this.#parts.index.cut(token) !== undefined;
  }

  async sealedCuts(): Promise<readonly SealedPart[]> {
    return this.#parts.index.sealed();
  }

  async getSnapshot(id: SnapshotId): Promise<Snapshot | undefined> {
    return this.#parts.index.snapshots.get(id);
  }

  async listSnapshots({ sourceVolumeId }: SnapshotFilter, page: PageRequest): Promise<Page<Snapshot>> {
    const index =
      sourceVolumeId === undefined ? this.#parts.index.snapshots : this.#parts.index.snapshotsOf(sourceVolumeId);
    return index.page(page);
  }

  async getGroup(id: GroupId): Promise<CutRecord | undefined> {
    return this.#parts.index.cutOfGroup(id);
  }

  async deleteSnapshot(id: SnapshotId): Promise<void> {
    const record = this.#parts.index.cutOfSnapshot(id);
    if (record?.group) {
      throw new DriverError(
        'failed-precondition',
        `snapshot ${id} belongs to group ${record.group.id}: delete the group`,
      );
    }
    if (record) await this.#deletions.delete(record);
    else await this.#deletions.finish(id);
  }

  async deleteGroup(id: GroupId): Promise<void> {
    const record = this.#parts.index.cutOfGroup(id);
    if (record?.group?.id === id) await this.#deletions.delete(record);
    else await this.#deletions.finish(id);
  }

  #volume(id: VolumeId): Volume {
    const volume = this.#parts.index.volumes.get(id);
    if (!volume) throw notFound('volume', id);
    return volume;
  }

  async #promising<T>(bytes: Bytes, what: string, create: () => Promise<T>): Promise<T> {
    const release = await this.#reserve(bytes, what);
    try {
      return await noSpaceIsExhausted(create);
    } finally {
      release();
    }
  }

  #releaseCut(token: RoundToken): void {
    this.#cutReserves.get(token)?.();
    this.#cutReserves.delete(token);
  }

  /**
   * Counts what is about to be created, so that calls at the same time can't be promised the same space.
   * @returns ends the count, once the record is written or nothing was made
   */
  async #reserve(bytes: Bytes, what: string): Promise<() => void> {
    const capacity = await this.capacity();
    // From here to the addition nothing awaits; what others were promised meanwhile is in the difference.
    const others = this.#parts.index.promisedBytes + this.#pendingBytes - capacity.promisedBytes;
    const availableBytes = maxBytes(0n, capacity.availableBytes - others);
    assertPromisable({ ...capacity, availableBytes }, bytes, what);
    this.#pendingBytes += bytes;
    return () => {
      this.#pendingBytes -= bytes;
    };
  }
}
