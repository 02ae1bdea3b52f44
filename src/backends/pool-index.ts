/**
 * What a pool's committed metadata says, in memory: read once at start, changed only after the pool was.
 * Only the process that holds the pool's lock may have one that it writes through.
 */
import type { Bytes } from '../core/bytes.ts';
import { DriverError } from '../core/errors.ts';
import { type GroupId, type NodeName, parseId, type SnapshotId, type VolumeId } from '../core/ids.ts';
import type { RoundToken, SealedPart } from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import { SortedIndex } from '../core/sorted-index.ts';
import type { Volume } from '../core/volume.ts';

export class PoolIndex {
  readonly volumes = new SortedIndex<Volume>();
  readonly snapshots = new SortedIndex<Snapshot>();
  readonly #bySource = new Map<VolumeId, SortedIndex<Snapshot>>();
  readonly #cuts = new Map<RoundToken, CutRecord>();
  readonly #cutOf = new Map<SnapshotId, RoundToken>();
  /** By the part of a group's id that its name makes: of one name there is one group on a node. */
  readonly #groups = new Map<string, RoundToken>();
  /** Not committed. */
  readonly #sealed = new Map<RoundToken, CutRecord>();
  #promisedBytes: Bytes = 0n;

  /** Sum of what was promised: sizes of volumes, and the space that snapshots hold, sealed ones too. */
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
    this.removeSealed(record.token);
    this.#cuts.set(record.token, record);
    this.#promisedBytes += heldBytesOf(record);
    if (record.group) this.#groups.set(groupKey(record.group.id), record.token);
    for (const snapshot of record.snapshots) {
      this.snapshots.set(snapshot);
      this.#cutOf.set(snapshot.id, record.token);
      const ofSource = this.#bySource.get(snapshot.sourceVolumeId) ?? new SortedIndex<Snapshot>();
      ofSource.set(snapshot);
      this.#bySource.set(snapshot.sourceVolumeId, ofSource);
    }
  }

  removeCut(record: CutRecord): void {
    this.#cuts.delete(record.token);
    this.#promisedBytes -= heldBytesOf(record);
    if (record.group) this.#groups.delete(groupKey(record.group.id));
    for (const snapshot of record.snapshots) {
      this.snapshots.delete(snapshot.id);
      this.#cutOf.delete(snapshot.id);
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

  /** The group of this name, whose home may be another than the id says. */
  cutOfGroup(id: GroupId): CutRecord | undefined {
    return this.#cuts.get(this.#groups.get(groupKey(id)) ?? '');
  }

  putSealed(record: CutRecord): void {
    this.#sealed.set(record.token, record);
    this.#promisedBytes += heldBytesOf(record);
  }

  removeSealed(token: RoundToken): void {
    const record = this.#sealed.get(token);
    if (record) this.#promisedBytes -= heldBytesOf(record);
    this.#sealed.delete(token);
  }

  /** Sealed parts of groups. */
  sealed(): readonly SealedPart[] {
    return [...this.#sealed.values()].flatMap(({ token, group }) => (group ? [{ token, group }] : []));
  }

  cuts(): Iterable<CutRecord> {
    return this.#cuts.values();
  }
}

function heldBytesOf({ snapshots }: CutRecord): Bytes {
  return snapshots.reduce((sum, { heldBytes }) => sum + heldBytes, 0n);
}

function groupKey(id: GroupId): string {
  return parseId(id)?.local ?? id;
}

/**
 * Ids carry the node's name, files and logical volumes don't: a pool that is served under another name would be taken
 * for empty, and its volumes overwritten.
 * @throws DriverError failed-precondition when something in the pool belongs to another node
 */
export function assertPoolOf(node: NodeName, index: PoolIndex): void {
  for (const { id, node: owner } of [...index.volumes.values(), ...index.snapshots.values()]) {
    if (owner === node) continue;
    throw new DriverError(
      'failed-precondition',
      `the pool belongs to node ${JSON.stringify(owner)} (${id}), and this one is called ${JSON.stringify(node)}: ` +
        'start with the node name that it was made with',
    );
  }
}
