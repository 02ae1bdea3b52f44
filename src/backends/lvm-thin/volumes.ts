/**
 * Volumes: a thin logical volume, and in its tags the record that makes it exist.
 *
 *   create: volume, tagged pending ─▶ grown, for a copy ─▶ record instead of pending: one metadata write
 *   delete: volume removed: one metadata write
 *   expand: volume grown, and its device ─▶ record
 *
 * LVM syncs its metadata, and the kernel that of the pool, before a command ends.
 */
import { type Bytes, roundUp } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { DriverError, notFound } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { nodeOf, type VolumeId } from '../../core/ids.ts';
import type { Content, Volume, VolumeSpec } from '../../core/volume.ts';
import { CommandError } from '../../host/exec.ts';
import { encodeVolume } from '../records.ts';
import type { Devices } from './devices.ts';
import { isRecordTag, PENDING_TAG, recordTags, snapshotName, volumeName } from './layout.ts';
import type { Pool } from './pool.ts';
import type { Store } from './store.ts';

/** Inactive, and not activated with the rest of the group when the machine starts. */
const ASLEEP = ['-y', '-an', '-ky'] as const;

interface Origin {
  readonly name: string;
  readonly sizeBytes: Bytes;
  readonly content: Content;
}

export class Volumes {
  readonly #pool: Pool;
  readonly #store: Store;
  readonly #devices: Devices;
  readonly #clock: Clock;
  readonly #maxBytes: Bytes;

  constructor(pool: Pool, store: Store, devices: Devices, clock: Clock, maxBytes: Bytes) {
    this.#pool = pool;
    this.#store = store;
    this.#devices = devices;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
  }

  async create(spec: VolumeSpec, signal: AbortSignal): Promise<Volume> {
    const origin = this.#origin(spec);
    const capacityBytes = this.#size(spec.capacityBytes);
    const name = volumeName(spec.id);
    signal.throwIfAborted();
    try {
      await this.#make(name, capacityBytes, origin);
      await failpoint('volume.create.image');
      if (origin && capacityBytes > origin.sizeBytes) await this.#grow(name, capacityBytes);
      await failpoint('volume.create.synced');
      const volume: Volume = {
        ...spec,
        capacityBytes,
        node: nodeOf('volume', spec.id) ?? '',
        content: origin?.content ?? { kind: 'blank' },
        createdAt: this.#clock.wallMs(),
      };
      await this.#record(volume, [PENDING_TAG]);
      await failpoint('volume.create.recorded');
      return volume;
    } catch (error) {
      if (!this.#store.volumes.get(spec.id)) await this.#remove(name);
      throw error;
    }
  }

  async delete(id: VolumeId): Promise<void> {
    const devices = this.#store.volumes.get(id) ? await this.#devices.of(id) : [];
    if (devices.length > 0) {
      const names = devices.map((device) => device.path).join(', ');
      throw new DriverError('failed-precondition', `volume ${id} is in use on this node (${names}): unstage it first`);
    }
    await failpoint('volume.delete.start');
    await this.#remove(volumeName(id));
    this.#store.removeVolume(id);
    await failpoint('volume.delete.unrecorded');
  }

  async expand(id: VolumeId, wantedBytes: Bytes): Promise<Volume> {
    const volume = this.#get(id);
    const capacityBytes = this.#size(wantedBytes);
    let expanded = volume;
    if (capacityBytes > volume.capacityBytes) {
      const grownBytes = await this.#grow(volumeName(id), capacityBytes);
      await failpoint('volume.expand.image');
      expanded = await this.#rewrite({ ...volume, capacityBytes: grownBytes });
      await failpoint('volume.expand.recorded');
    }
    // Also when the size is right already: a crash may have come between the record and the device.
    await this.#devices.resize(id, expanded.capacityBytes);
    await failpoint('volume.expand.resized');
    return expanded;
  }

  async setContent(id: VolumeId, content: Content): Promise<Volume> {
    return await this.#rewrite({ ...this.#get(id), content });
  }

  async #make(name: string, capacityBytes: Bytes, origin: Origin | undefined): Promise<void> {
    const { lvm, name: pool } = this.#pool;
    const kind = origin
      ? ['-s', lvm.pathOf(origin.name)]
      : ['-Wn', '-V', `${capacityBytes}b`, '--thinpool', lvm.pathOf(pool)];
    const argv = ['lvcreate', ...ASLEEP, '-n', name, '--addtag', PENDING_TAG, ...kind];
    try {
      await this.#pool.change(argv);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      // What an attempt that failed half way may have left. Nothing refers to it: there is no record.
      if (!(await this.#remove(name))) throw error;
      await this.#pool.change(argv);
    }
  }

  /** @returns its size: larger, when an earlier call grew it that far and was cut short before it was recorded */
  async #grow(name: string, capacityBytes: Bytes): Promise<Bytes> {
    try {
      await this.#pool.change(['lvextend', '-y', '-L', `${capacityBytes}b`, this.#pool.lvm.pathOf(name)]);
      return capacityBytes;
    } catch (error) {
      const volume = await this.#pool.lvm.find(name);
      if (!volume || volume.sizeBytes < capacityBytes) throw error;
      return volume.sizeBytes;
    }
  }

  /** @returns false when there was none */
  async #remove(name: string): Promise<boolean> {
    const volume = await this.#pool.lvm.find(name);
    if (volume) await this.#pool.change(['lvremove', '-y', this.#pool.lvm.pathOf(name)]);
    return volume !== undefined;
  }

  async #rewrite(volume: Volume): Promise<Volume> {
    // As they are, not as they should be: an earlier change may have been made, and have failed after that.
    const tags = (await this.#pool.lvm.find(volumeName(volume.id)))?.tags ?? [];
    await this.#record(volume, tags.filter(isRecordTag));
    return volume;
  }

  /** Puts the record in the place of these tags: one metadata write. */
  async #record(volume: Volume, instead: readonly string[]): Promise<void> {
    const tags = recordTags(encodeVolume(volume));
    const changes = [
      ...instead.filter((tag) => !tags.includes(tag)).flatMap((tag) => ['--deltag', tag]),
      ...tags.filter((tag) => !instead.includes(tag)).flatMap((tag) => ['--addtag', tag]),
    ];
    if (changes.length > 0) {
      await this.#pool.change(['lvchange', '-y', ...changes, this.#pool.lvm.pathOf(volumeName(volume.id))]);
    }
    this.#store.putVolume(volume);
  }

  #get(id: VolumeId): Volume {
    const volume = this.#store.volumes.get(id);
    if (!volume) throw notFound('volume', id);
    return volume;
  }

  #size(bytes: Bytes): Bytes {
    if (bytes > this.#maxBytes) {
      throw new DriverError('out-of-range', `${bytes} bytes are more than a thin volume can have (${this.#maxBytes})`);
    }
    return roundUp(bytes, this.#pool.extentBytes);
  }

  #origin({ source, capacityBytes }: VolumeSpec): Origin | undefined {
    if (!source) return undefined;
    const origin = source.kind === 'volume' ? this.#volumeOrigin(source.id) : this.#snapshotOrigin(source.id);
    if (capacityBytes < origin.sizeBytes) {
      throw new DriverError(
        'out-of-range',
        `${source.kind} ${source.id} is larger (${origin.sizeBytes} bytes) than the new volume (${capacityBytes})`,
      );
    }
    const { content } = origin;
    return content.kind === 'filesystem' ? { ...origin, content: { ...content, identity: 'copied' } } : origin;
  }

  #volumeOrigin(id: VolumeId): Origin {
    const { capacityBytes, content } = this.#get(id);
    return { name: volumeName(id), sizeBytes: capacityBytes, content };
  }

  #snapshotOrigin(id: string): Origin {
    const snapshot = this.#store.snapshots.get(id);
    const cut = this.#store.cutOfSnapshot(id);
    if (!snapshot || !cut) throw notFound('snapshot', id);
    return { name: snapshotName(cut.token, id), sizeBytes: snapshot.sizeBytes, content: snapshot.content };
  }
}
