/** The loop backend: image files on a reflink filesystem, attached as loop devices. */
import { mkdir } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { AttachedDevice, Backend, FenceTarget, SnapshotFilter } from '../../core/backend.ts';
import { type Bytes, MiB, maxBytes, TiB } from '../../core/bytes.ts';
import type { PoolCapacity } from '../../core/capacity.ts';
import type { Clock } from '../../core/clock.ts';
import { DriverError, isErrno, notFound } from '../../core/errors.ts';
import type { GroupId, NodeName, SnapshotId, VolumeId } from '../../core/ids.ts';
import type { Logger } from '../../core/observe.ts';
import type { Page, PageRequest } from '../../core/paging.ts';
import type { MemberEvidence, RoundPlan, RoundToken } from '../../core/round.ts';
import type { CutRecord, Snapshot } from '../../core/snapshot.ts';
import type { Content, Volume, VolumeSpec } from '../../core/volume.ts';
import { allocatedBytes } from '../../host/sparse-file.ts';
import { assertPromisable, type CapacityPolicy, measureCapacity, type PoolPlace } from './capacity.ts';
import { Cuts } from './cuts.ts';
import { Devices } from './devices.ts';
import { Layout } from './layout.ts';
import { closePool, openPool, type PoolOptions } from './pool.ts';
import { Store } from './store.ts';
import { sweep } from './sweep.ts';
import { Trash } from './trash.ts';
import { Volumes } from './volumes.ts';

export interface LoopBackendOptions extends PoolOptions, CapacityPolicy {
  readonly node: NodeName;
}

export class LoopBackend implements Backend, AsyncDisposable {
  readonly name = 'loop';
  readonly sizeGranularity: Bytes = MiB;
  readonly minVolumeBytes: Bytes = 16n * MiB;
  readonly maxVolumeBytes: Bytes = 1024n * TiB;

  readonly #place: PoolPlace;
  readonly #policy: CapacityPolicy;
  readonly #layout: Layout;
  readonly #store: Store;
  readonly #devices: Devices;
  readonly #volumes: Volumes;
  readonly #cuts: Cuts;
  readonly #trash: Trash;
  /** Promised to calls that have not written their record yet. */
  #pendingBytes: Bytes = 0n;

  private constructor(options: LoopBackendOptions, place: PoolPlace, store: Store, trash: Trash, clock: Clock) {
    this.#place = place;
    this.#policy = options;
    this.#layout = new Layout(place.folder);
    this.#store = store;
    this.#trash = trash;
    this.#devices = new Devices(this.#layout);
    this.#volumes = new Volumes(this.#layout, store, this.#devices, trash, clock);
    this.#cuts = new Cuts(this.#layout, store, trash, clock, options.node);
  }

  /**
   * Makes or mounts the pool, sweeps it, and reads its metadata. The caller holds the lock of the data folder: one
   * process owns a pool.
   * @throws DriverError data-loss when a committed record can't be read
   */
  static async open(options: LoopBackendOptions, clock: Clock, log: Logger): Promise<LoopBackend> {
    const place = await openPool(options);
    const layout = new Layout(place.folder);
    for (const folder of [layout.volumes, layout.cuts, layout.trash]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    const trash = new Trash(layout.trash, log);
    await sweep(layout, options.node, trash, log);
    return new LoopBackend(options, place, Store.load(layout), trash, clock);
  }

  /** Leaves nothing mounted or attached when no volume is in use; else leaves the pool as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trash.emptied();
    if (!(await this.#inUse())) await closePool(this.#place);
  }

  async capacity(): Promise<PoolCapacity> {
    return await measureCapacity(this.#place, this.#policy, this.#store.promisedBytes + this.#pendingBytes);
  }

  async createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<Volume> {
    const present = this.#store.volumes.get(spec.id);
    if (present) return sameVolume(present, spec);
    return await this.#promising(spec.capacityBytes, `volume ${JSON.stringify(spec.name)}`, () =>
      this.#volumes.create(spec, signal),
    );
  }

  async getVolume(id: VolumeId): Promise<Volume | undefined> {
    return this.#store.volumes.get(id);
  }

  async listVolumes(page: PageRequest): Promise<Page<Volume>> {
    return this.#store.volumes.page(page);
  }

  async deleteVolume(id: VolumeId): Promise<void> {
    await this.#volumes.delete(id);
  }

  async expandVolume(id: VolumeId, capacityBytes: Bytes): Promise<Volume> {
    const volume = this.#store.volumes.get(id);
    if (!volume) throw notFound('volume', id);
    const more = capacityBytes > volume.capacityBytes ? capacityBytes - volume.capacityBytes : 0n;
    if (more === 0n) return await this.#volumes.expand(id, capacityBytes);
    return await this.#promising(more, `expanding volume ${id}`, () => this.#volumes.expand(id, capacityBytes));
  }

  async setContent(id: VolumeId, content: Content): Promise<Volume> {
    return await noSpaceIsExhausted(() => this.#volumes.setContent(id, content));
  }

  async attach(id: VolumeId, { readOnly }: { readonly readOnly: boolean }): Promise<AttachedDevice> {
    const volume = this.#store.volumes.get(id);
    if (!volume) throw notFound('volume', id);
    return await this.#devices.attach(volume, readOnly);
  }

  async devices(id: VolumeId): Promise<readonly AttachedDevice[]> {
    return this.#store.volumes.get(id) ? await this.#devices.of(id) : [];
  }

  async detach(id: VolumeId): Promise<void> {
    if (this.#store.volumes.get(id)) await this.#devices.detach(id);
  }

  async fenceTargets(ids: readonly VolumeId[]): Promise<readonly FenceTarget[]> {
    const volumes = ids.map((id) => {
      const volume = this.#store.volumes.get(id);
      if (!volume) throw notFound('volume', id);
      return volume;
    });
    return await this.#devices.fenceTargets(volumes);
  }

  async prepareCut(plan: RoundPlan): Promise<void> {
    let held: Bytes = 0n;
    for (const { volumeId } of plan.members) {
      if (!this.#store.volumes.get(volumeId)) throw notFound('volume', volumeId);
      held += await allocatedBytes(this.#layout.volumeImage(volumeId));
    }
    assertPromisable(await this.capacity(), held, `snapshot ${JSON.stringify(plan.name)}`);
    await noSpaceIsExhausted(() => this.#cuts.prepare(plan));
  }

  async cutMember(token: RoundToken, volumeId: VolumeId): Promise<void> {
    await noSpaceIsExhausted(() => this.#cuts.cutMember(token, volumeId));
  }

  async sealCut(token: RoundToken, evidence: readonly MemberEvidence[]): Promise<void> {
    await noSpaceIsExhausted(() => this.#cuts.seal(token, evidence));
  }

  async commitCut(token: RoundToken): Promise<CutRecord> {
    return await this.#cuts.commit(token);
  }

  async abortCut(token: RoundToken): Promise<void> {
    await this.#cuts.abort(token);
  }

  async getSnapshot(id: SnapshotId): Promise<Snapshot | undefined> {
    return this.#store.snapshots.get(id);
  }

  async listSnapshots({ sourceVolumeId }: SnapshotFilter, page: PageRequest): Promise<Page<Snapshot>> {
    const index = sourceVolumeId === undefined ? this.#store.snapshots : this.#store.snapshotsOf(sourceVolumeId);
    return index.page(page);
  }

  async getGroup(id: GroupId): Promise<CutRecord | undefined> {
    return this.#store.cutOfGroup(id);
  }

  async deleteSnapshot(id: SnapshotId): Promise<void> {
    const record = this.#store.cutOfSnapshot(id);
    if (record?.group) {
      throw new DriverError(
        'failed-precondition',
        `snapshot ${id} belongs to group ${record.group.id}: delete the group`,
      );
    }
    if (record) await this.#cuts.delete(record);
  }

  async deleteGroup(id: GroupId): Promise<void> {
    const record = this.#store.cutOfGroup(id);
    if (record) await this.#cuts.delete(record);
  }

  async #inUse(): Promise<boolean> {
    return await this.#devices.anyAttached([...this.#store.volumes.values()].map(({ id }) => id));
  }

  /** Counts what is about to be created, so that calls at the same time can't be promised the same space. */
  async #promising<T>(bytes: Bytes, what: string, create: () => Promise<T>): Promise<T> {
    const capacity = await this.capacity();
    // From here to the addition nothing awaits; what others were promised meanwhile is in the difference.
    const others = this.#store.promisedBytes + this.#pendingBytes - capacity.promisedBytes;
    const availableBytes = maxBytes(0n, capacity.availableBytes - others);
    assertPromisable({ ...capacity, availableBytes }, bytes, what);
    this.#pendingBytes += bytes;
    try {
      return await noSpaceIsExhausted(create);
    } finally {
      this.#pendingBytes -= bytes;
    }
  }
}

/** @throws DriverError already-exists when the volume was made as something else */
function sameVolume(present: Volume, spec: VolumeSpec): Volume {
  // Copied: two maps of the same content may come from different makers.
  const asked = ({ name, capacityBytes, source, parameters }: VolumeSpec) => [
    name,
    capacityBytes,
    { ...source },
    { ...parameters },
  ];
  if (isDeepStrictEqual(asked(present), asked(spec))) return present;
  throw new DriverError('already-exists', `volume ${present.id} exists, and was made as something else`);
}

async function noSpaceIsExhausted<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isErrno(cause, 'ENOSPC', 'EDQUOT')) throw cause;
    throw new DriverError('resource-exhausted', 'the pool is full', { cause });
  }
}
