/**
 * What the pool's committed metadata says, in memory: read once at start, changed only after the disk was.
 * Only the process that holds the pool's lock may have one that it writes through.
 */
import { readdir, readFile } from 'node:fs/promises';
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

/** Metadata files read at a time: enough to keep the thread pool busy, few enough for the descriptor limit. */
const READ_BATCH = 64;

export class Store {
  readonly volumes = new SortedIndex<Volume>();
  readonly snapshots = new SortedIndex<Snapshot>();
  readonly #bySource = new Map<VolumeId, SortedIndex<Snapshot>>();
  readonly #cuts = new Map<RoundToken, CutRecord>();
  readonly #cutOf = new Map<SnapshotId, RoundToken>();
  readonly #groups = new Map<GroupId, RoundToken>();
  #promisedBytes: Bytes = 0n;

  /** @throws DriverError data-loss when a committed record can't be read */
  static async load(layout: Layout): Promise<Store> {
    const store = new Store();
    const records = (await listIfThere(layout.volumes)).filter((name) => VOLUME_FILE.exec(name)?.[2] === 'json');
    await inBatches(records, async (name) => {
      const file = path.join(layout.volumes, name);
      // Gone since the folder was read: somebody looks at the pool while its owner works.
      const text = await readIfThere(file);
      if (text !== undefined) store.putVolume(decodeVolume(text, file));
    });
    const tokens = (await listIfThere(layout.cuts)).filter((name) => TOKEN.test(name));
    await inBatches(tokens, async (token) => {
      const file = path.join(layout.cut(token), COMMITTED);
      const text = await readIfThere(file);
      if (text !== undefined) store.putCut(decodeCut(text, file));
    });
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

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += READ_BATCH) await Promise.all(items.slice(i, i + READ_BATCH).map(work));
}

async function listIfThere(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
