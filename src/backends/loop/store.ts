/**
 * What the pool's committed metadata says, in memory: read once at start, changed only after the disk was.
 * Only the process that holds the pool's lock may have one that it writes through.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Bytes } from '../../core/bytes.ts';
import { isErrno } from '../../core/errors.ts';
import type { GroupId, SnapshotId, VolumeId } from '../../core/ids.ts';
import type { RoundToken } from '../../core/round.ts';
import type { CutRecord, Snapshot } from '../../core/snapshot.ts';
import { SortedIndex } from '../../core/sorted-index.ts';
import type { Volume } from '../../core/volume.ts';
import { COMMITTED, type Layout, TOKEN, VOLUME_FILE } from './layout.ts';
import { decodeCut, decodeVolume } from './records.ts';

export class Store {
  readonly volumes = new SortedIndex<Volume>();
  readonly snapshots = new SortedIndex<Snapshot>();
  readonly #bySource = new Map<VolumeId, SortedIndex<Snapshot>>();
  readonly #cuts = new Map<RoundToken, CutRecord>();
  readonly #cutOf = new Map<SnapshotId, RoundToken>();
  readonly #groups = new Map<GroupId, RoundToken>();
  #promisedBytes: Bytes = 0n;

  /**
   * Reads without a thread: nothing else goes on at a start, and thousands of small files take a quarter of the time.
   * @throws DriverError data-loss when a committed record can't be read
   */
  static load(layout: Layout): Store {
    const store = new Store();
    for (const name of listIfThere(layout.volumes)) {
      if (VOLUME_FILE.exec(name)?.[2] !== 'json') continue;
      const file = path.join(layout.volumes, name);
      // Gone since the folder was read: somebody looks at the pool while its owner works.
      const text = readIfThere(file);
      if (text !== undefined) store.putVolume(decodeVolume(text, file));
    }
    for (const token of listIfThere(layout.cuts)) {
      if (!TOKEN.test(token)) continue;
      const file = path.join(layout.cut(token), COMMITTED);
      const text = readIfThere(file);
      if (text !== undefined) store.putCut(decodeCut(text, file));
    }
    return store;
  }

  /** Sum of what was promised: sizes of volumes, and the space that snapshots hold. */
  get promisedBytes(): Bytes {
    return this.#promisedBytes;
  }

  putVolume(volume: Volume): void {
    this.#promisedBytes += volume.capacityBytes - (this.volumes.get(volume.id)?.capacityBytes ?? 0n);
    this.volumes.set(volume);
  }

  removeVolume(id: VolumeId): void {
    this.#promisedBytes -= this.volumes.get(id)?.capacityBytes ?? 0n;
    this.volumes.delete(id);
  }

  putCut(record: CutRecord): void {
    this.#cuts.set(record.token, record);
    if (record.group) this.#groups.set(record.group.id, record.token);
    for (const snapshot of record.snapshots) {
      this.snapshots.set(snapshot);
      this.#cutOf.set(snapshot.id, record.token);
      this.#promisedBytes += snapshot.heldBytes;
      const ofSource = this.#bySource.get(snapshot.sourceVolumeId) ?? new SortedIndex<Snapshot>();
      ofSource.set(snapshot);
      this.#bySource.set(snapshot.sourceVolumeId, ofSource);
    }
  }

  removeCut(record: CutRecord): void {
    this.#cuts.delete(record.token);
    if (record.group) this.#groups.delete(record.group.id);
    for (const snapshot of record.snapshots) {
      this.snapshots.delete(snapshot.id);
      this.#cutOf.delete(snapshot.id);
      this.#promisedBytes -= snapshot.heldBytes;
      const ofSource = this.#bySource.get(snapshot.sourceVolumeId);
      ofSource?.delete(snapshot.id);
      if (ofSource?.size === 0) this.#bySource.delete(snapshot.sourceVolumeId);
    }
  }

  snapshotsOf(source: VolumeId): SortedIndex<Snapshot> {
    return this.#bySource.get(source) ?? new SortedIndex<Snapshot>();
  }

  cut(token: RoundToken): CutRecord | undefined {
    return this.#cuts.get(token);
  }

  cutOfSnapshot(id: SnapshotId): CutRecord | undefined {
    return this.#cuts.get(this.#cutOf.get(id) ?? '');
  }

  cutOfGroup(id: GroupId): CutRecord | undefined {
    return this.#cuts.get(this.#groups.get(id) ?? '');
  }

  cuts(): Iterable<CutRecord> {
    return this.#cuts.values();
  }
}

function listIfThere(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
