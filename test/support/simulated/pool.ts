/** A pool that is computed: what is in it follows from a few counts, so a million snapshots take no room. */
import { GiB } from '../../../src/core/bytes.ts';
import type { NodeName } from '../../../src/core/ids.ts';
import type { Page, PageRequest } from '../../../src/core/paging.ts';
import type { Snapshot } from '../../../src/core/snapshot.ts';
import type { Volume } from '../../../src/core/volume.ts';

export interface PoolShape {
  readonly volumes: number;
  readonly snapshotsPerVolume: number;
}

export const VOLUME_BYTES = GiB;
const CREATED_AT = Date.UTC(2026, 0, 1);
/** What ids are made of, in the order of code units: ids are in the order of their indexes then. */
const DIGITS = '234567abcdefghijklmnopqrstuvwxyz';
const HASH_LENGTH = 26;
/** Not more of the digits are used. No hash of a name begins with so many zeros. */
const USED = 6;

export class SimulatedPool {
  readonly node: NodeName;
  readonly #shape: PoolShape;

  constructor(node: NodeName, shape: PoolShape) {
    this.node = node;
    this.#shape = shape;
  }

  volume(id: string): Volume | undefined {
    const index = indexOf(id);
    return index !== undefined && index < this.#shape.volumes ? this.#volumeAt(index) : undefined;
  }

  snapshot(id: string): Snapshot | undefined {
    const index = indexOf(id);
    return index !== undefined && index < this.#snapshots ? this.#snapshotAt(index) : undefined;
  }

  volumes(page: PageRequest): Page<Volume> {
    return pageOf(page, 0, this.#shape.volumes, (index) => this.#volumeAt(index));
  }

  /** Those of one volume lie together. */
  snapshots(page: PageRequest, sourceVolumeId?: string): Page<Snapshot> {
    const { snapshotsPerVolume } = this.#shape;
    const source = sourceVolumeId === undefined ? undefined : (indexOf(sourceVolumeId) ?? this.#shape.volumes);
    const [first, end] =
      source === undefined ? [0, this.#snapshots] : [source * snapshotsPerVolume, (source + 1) * snapshotsPerVolume];
    return pageOf(page, first, Math.min(end, this.#snapshots), (index) => this.#snapshotAt(index));
  }

  get #snapshots(): number {
    return this.#shape.volumes * this.#shape.snapshotsPerVolume;
  }

  #volumeAt(index: number): Volume {
    return {
      id: simulatedVolume(this.node, index),
      name: `volume ${index}`,
      node: this.node,
      capacityBytes: VOLUME_BYTES,
      content: { kind: 'blank' },
      parameters: {},
      createdAt: CREATED_AT,
    };
  }

  #snapshotAt(index: number): Snapshot {
    return {
      id: simulatedSnapshot(this.node, index),
      name: `snapshot ${index}`,
      node: this.node,
      sourceVolumeId: simulatedVolume(this.node, Math.floor(index / this.#shape.snapshotsPerVolume)),
      sizeBytes: VOLUME_BYTES,
      heldBytes: 0n,
      content: { kind: 'blank' },
      createdAt: CREATED_AT,
    };
  }
}

export function simulatedNode(index: number): NodeName {
  return `sim-${String(index).padStart(4, '0')}`;
}

export function simulatedVolume(node: NodeName, index: number): string {
  return `vol-${hashAt(index)}.${node}`;
}

export function simulatedSnapshot(node: NodeName, index: number): string {
  return `snap-${hashAt(index)}.${node}`;
}

function hashAt(index: number): string {
  let text = '';
  for (let rest = index, i = 0; i < USED; i++, rest = Math.floor(rest / DIGITS.length)) {
    text = DIGITS.charAt(rest % DIGITS.length) + text;
  }
  return text.padStart(HASH_LENGTH, DIGITS.charAt(0));
}

/** Undefined for what is no computed id, such as one of a name. */
function indexOf(id: string): number | undefined {
  const hash = id.slice(id.indexOf('-') + 1, id.indexOf('.'));
  const unused = hash.slice(0, -USED);
  if ([...unused].some((digit) => digit !== DIGITS.charAt(0))) return undefined;
  return [...hash.slice(-USED)].reduce((sum, digit) => sum * DIGITS.length + DIGITS.indexOf(digit), 0);
}

function pageOf<T extends { readonly id: string }>(
  { after, limit }: PageRequest,
  first: number,
  end: number,
  at: (index: number) => T,
): Page<T> {
  const start = after === undefined ? first : Math.max(first, (indexOf(after) ?? end) + 1);
  const count = Math.max(0, Math.min(end - start, limit ?? end));
  const items = Array.from({ length: count }, (_, i) => at(start + i));
  const last = items.at(-1);
  return last && start + count < end ? { items, next: last.id } : { items };
}
