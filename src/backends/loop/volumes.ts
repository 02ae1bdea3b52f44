/**
 * Volumes: an image, and beside it the record that makes it exist.
 *
 *   create: image ─▶ sync ─▶ record (durable)      a crash before the record leaves an image that the sweep removes
 *   delete: record gone (durable) ─▶ image to the trash
 *   expand: image grown, synced ─▶ record ─▶ device    without the record, the next attachment cuts the image to its size
 */
import { rm } from 'node:fs/promises';
import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { DriverError, notFound } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { nodeOf, type VolumeId } from '../../core/ids.ts';
import type { Content, Volume, VolumeSpec } from '../../core/volume.ts';
import { syncFile, unlinkDurably, writeFileDurably } from '../../host/durable-file.ts';
import { exists } from '../../host/exists.ts';
import { cloneFile } from '../../host/reflink.ts';
import { createSparseFile, growSparseFile } from '../../host/sparse-file.ts';
import { encodeVolume } from '../records.ts';
import type { Devices } from './devices.ts';
import type { Layout } from './layout.ts';
import type { Store } from './store.ts';
import type { Trash } from './trash.ts';

interface Origin {
  readonly image: string;
  readonly sizeBytes: Bytes;
  readonly content: Content;
}

export class Volumes {
  readonly #layout: Layout;
  readonly #store: Store;
  readonly #devices: Devices;
  readonly #trash: Trash;
  readonly #clock: Clock;

  constructor(layout: Layout, store: Store, devices: Devices, trash: Trash, clock: Clock) {
    this.#layout = layout;
    this.#store = store;
    this.#devices = devices;
    this.#trash = trash;
    this.#clock = clock;
  }

  async create(spec: VolumeSpec, signal: AbortSignal): Promise<Volume> {
    const origin = this.#origin(spec);
    const image = this.#layout.volumeImage(spec.id);
    signal.throwIfAborted();
    if (await exists(this.#layout.volumeRecord(spec.id))) {
      throw new DriverError(
        'data-loss',
        `the pool holds a record of ${spec.id} that is not known: it is not overwritten`,
      );
    }
    try {
      // What an attempt that failed half way may have left. Nothing refers to it: there is no record.
      await rm(image, { force: true });
      if (origin) await cloneFile(origin.image, image);
      else await createSparseFile(image, spec.capacityBytes);
      await failpoint('volume.create.image');
      if (origin) await growSparseFile(image, spec.capacityBytes);
      const volume: Volume = {
        ...spec,
        node: nodeOf('volume', spec.id) ?? '',
        content: origin?.content ?? { kind: 'blank' },
        createdAt: this.#clock.wallMs(),
      };
      const synced = syncFile(image).then(() => failpoint('volume.create.synced'));
      await writeFileDurably(this.#layout.volumeRecord(spec.id), encodeVolume(volume), synced);
      this.#store.putVolume(volume);
      await failpoint('volume.create.recorded');
      return volume;
    } catch (error) {
      if (!this.#store.volumes.get(spec.id)) {
        // The record too: a failure to sync it comes after it has got its name.
        await rm(this.#layout.volumeRecord(spec.id), { force: true });
        await rm(image, { force: true });
      }
      throw error;
    }
  }

  async delete(id: VolumeId): Promise<void> {
    if (!this.#store.volumes.get(id)) {
      // What a deletion that failed half way has left.
      await this.#trash.discard(this.#layout.volumeImage(id));
      return;
    }
    const devices = await this.#devices.of(id);
    if (devices.length > 0) {
      const names = devices.map((device) => device.path).join(', ');
      throw new DriverError('failed-precondition', `volume ${id} is in use on this node (${names}): unstage it first`);
    }
    await failpoint('volume.delete.start');
    const record = this.#layout.volumeRecord(id);
    try {
      await unlinkDurably(record);
    } finally {
      // Also when it could not be synced: what is not on disk must not be in memory, or a retry of its creation finds it.
      if (!(await exists(record))) this.#store.removeVolume(id);
    }
    await failpoint('volume.delete.unrecorded');
    await this.#trash.discard(this.#layout.volumeImage(id));
  }

  async expand(id: VolumeId, capacityBytes: Bytes): Promise<Volume> {
    let volume = this.#get(id);
    if (capacityBytes > volume.capacityBytes) {
      const image = this.#layout.volumeImage(id);
      await growSparseFile(image, capacityBytes);
      await syncFile(image);
      await failpoint('volume.expand.image');
      volume = await this.#rewrite({ ...volume, capacityBytes });
      await failpoint('volume.expand.recorded');
    }
    // Also when the size is right already: a crash may have come between the record and the device.
    await this.#devices.resize(id);
    await failpoint('volume.expand.resized');
    return volume;
  }

  async setContent(id: VolumeId, content: Content): Promise<Volume> {
    return await this.#rewrite({ ...this.#get(id), content });
  }

  async #rewrite(volume: Volume): Promise<Volume> {
    await writeFileDurably(this.#layout.volumeRecord(volume.id), encodeVolume(volume));
    this.#store.putVolume(volume);
    return volume;
  }

  #get(id: VolumeId): Volume {
    const volume = this.#store.volumes.get(id);
    if (!volume) throw notFound('volume', id);
    return volume;
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
    return { image: this.#layout.volumeImage(id), sizeBytes: capacityBytes, content };
  }

  #snapshotOrigin(id: string): Origin {
    const snapshot = this.#store.snapshots.get(id);
    const cut = this.#store.cutOfSnapshot(id);
    if (!snapshot || !cut) throw notFound('snapshot', id);
    return {
      image: this.#layout.snapshotImage(cut.token, id),
      sizeBytes: snapshot.sizeBytes,
      content: snapshot.content,
    };
  }
}
