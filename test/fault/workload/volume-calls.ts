/** Calls about volumes, each with what its answers say. */
import type { Volume } from '../../../src/gen/csi/v1/Volume.ts';
import { type Csi, mountCapability } from '../../support/csi.ts';
import { MiB } from '../world.ts';
import { BLANKS, COPIES, idOf, snapshotNamed, volumeNamed } from './names.ts';
import { type Call, onSnapshot, onVolume, type Recorder } from './recorder.ts';
import * as states from './states.ts';

export const CAPABILITY = mountCapability('ext4', 'SINGLE_NODE_SINGLE_WRITER');
/** Room for an ext4, and for choices. */
export const SIZES: readonly number[] = [16, 24, 32].map((size) => size * MiB);

interface Places {
  readonly stagingTargetPath: string;
  readonly target: (name: string) => string;
}

/** @param places where the volume of a name is staged and published */
export class VolumeCalls {
  readonly #csi: () => Csi;
  readonly #recorder: Recorder;
  readonly #places: (name: string) => Places;
  readonly #others: readonly string[];

  /** @param others ids of volumes that are always there, and that nobody touches */
  constructor(csi: () => Csi, recorder: Recorder, places: (name: string) => Places, others: readonly string[]) {
    this.#csi = csi;
    this.#recorder = recorder;
    this.#places = places;
    this.#others = others;
  }

  async create(name: string, requiredBytes: number): Promise<string> {
    return await this.#perform({
      what: `create ${name} of ${requiredBytes}`,
      holds: [name],
      ask: async () =>
        await this.#csi().controller.CreateVolume({
          name,
          capacityRange: { requiredBytes: String(requiredBytes) },
          volumeCapabilities: [CAPABILITY],
        }),
      ok: ({ volume }) => [onVolume(name, states.created('', this.#bytesOf(name, volume), requiredBytes))],
      codes: { 'already-exists': () => [onVolume(name, states.differs('', requiredBytes))] },
      lost: [onVolume(name, states.createdUnseen('', requiredBytes))],
    });
  }

  async clone(name: string, source: string): Promise<string> {
    return await this.#copy(name, source, { volume: { volumeId: idOf.volume(source) } }, () => [
      onVolume(source, states.absent),
    ]);
  }

  async restore(name: string, snapshot: string): Promise<string> {
    return await this.#copy(name, snapshot, { snapshot: { snapshotId: idOf.snapshot(snapshot) } }, () => [
      onSnapshot(snapshot, states.absent),
    ]);
  }

  async #copy(
    name: string,
    source: string,
    volumeContentSource: { volume: { volumeId: string } } | { snapshot: { snapshotId: string } },
    sourceIsAbsent: () => ReturnType<Call<unknown>['ok']>,
  ): Promise<string> {
    return await this.#perform({
      what: `copy ${source} to ${name}`,
      holds: [name, source],
      ask: async () =>
        await this.#csi().controller.CreateVolume({ name, volumeCapabilities: [CAPABILITY], volumeContentSource }),
      ok: ({ volume }) => [onVolume(name, states.created(source, this.#bytesOf(name, volume)))],
      codes: {
        'already-exists': () => [onVolume(name, states.differs(source))],
        'not-found': () => [onVolume(name, states.absent), ...sourceIsAbsent()],
      },
      lost: [onVolume(name, states.createdUnseen(source))],
    });
  }

  async delete(name: string): Promise<string> {
    return await this.#perform({
      what: `delete ${name}`,
      holds: [name],
      ask: async () => await this.#csi().controller.DeleteVolume({ volumeId: idOf.volume(name) }),
      ok: () => [onVolume(name, states.deleted)],
      codes: { 'failed-precondition': () => [onVolume(name, states.isInUse)] },
      lost: [onVolume(name, states.deleted)],
    });
  }

  async expand(name: string, bytes: number): Promise<string> {
    return await this.#perform({
      what: `expand ${name} to ${bytes}`,
      holds: [name],
      ask: async () =>
        await this.#csi().controller.ControllerExpandVolume({
          volumeId: idOf.volume(name),
          capacityRange: { requiredBytes: String(bytes) },
        }),
      ok: ({ capacityBytes }) => [onVolume(name, states.expanded(bytes, Number(capacityBytes)))],
      codes: { 'not-found': () => [onVolume(name, states.absent)] },
      lost: [onVolume(name, states.expandedUnseen(bytes))],
    });
  }

  async get(name: string): Promise<string> {
    return await this.#perform({
      what: `get ${name}`,
      holds: [],
      ask: async () => await this.#csi().controller.ControllerGetVolume({ volumeId: idOf.volume(name) }),
      ok: ({ volume }) => [onVolume(name, states.isSeen(this.#bytesOf(name, volume)))],
      codes: { 'not-found': () => [onVolume(name, states.absent)] },
      lost: [],
    });
  }

  async list(): Promise<string> {
    return await this.#perform({
      what: 'list volumes',
      holds: [],
      ask: async () => await this.#csi().controller.ListVolumes({}),
      ok: ({ entries }) => {
        const seen = new Map(entries.map(({ volume }) => [volumeNamed(volume?.volumeId ?? ''), volume]));
        for (const id of this.#others) seen.delete(id);
        if (seen.size + this.#others.length !== entries.length)
          this.#recorder.wrong.push('a volume is listed twice, or one that must be there is not');
        return [...new Set([...BLANKS, ...COPIES, ...seen.keys()])].map((name) => {
          const volume = seen.get(name);
          return onVolume(name, volume ? states.isSeen(this.#bytesOf(name, volume)) : states.absent);
        });
      },
      lost: [],
    });
  }

  async stage(name: string): Promise<string> {
    return await this.#perform({
      what: `stage ${name}`,
      holds: [name],
      ask: async () =>
        await this.#csi().node.NodeStageVolume({
          volumeId: idOf.volume(name),
          stagingTargetPath: this.#places(name).stagingTargetPath,
          volumeCapability: CAPABILITY,
        }),
      ok: () => [onVolume(name, states.staged)],
      codes: { 'not-found': () => [onVolume(name, states.absent)] },
      lost: [onVolume(name, states.stagedUnseen)],
    });
  }

  async unstage(name: string): Promise<string> {
    return await this.#perform({
      what: `unstage ${name}`,
      holds: [name],
      ask: async () =>
        await this.#csi().node.NodeUnstageVolume({
          volumeId: idOf.volume(name),
          stagingTargetPath: this.#places(name).stagingTargetPath,
        }),
      ok: () => [onVolume(name, states.unstaged)],
      codes: { 'failed-precondition': () => [onVolume(name, states.isPublished)] },
      lost: [onVolume(name, states.unstagedUnseen)],
    });
  }

  async publish(name: string, target: string): Promise<string> {
    const { stagingTargetPath, target: pathOf } = this.#places(name);
    return await this.#perform({
      what: `publish ${name} at ${target}`,
      holds: [name],
      ask: async () =>
        await this.#csi().node.NodePublishVolume({
          volumeId: idOf.volume(name),
          stagingTargetPath,
          targetPath: pathOf(target),
          volumeCapability: CAPABILITY,
        }),
      ok: () => [onVolume(name, states.published(target))],
      codes: {
        'failed-precondition': () => [onVolume(name, states.mustNotPublish(target))],
        'not-found': () => [onVolume(name, states.absent)],
      },
      lost: [onVolume(name, states.publishedUnseen(target))],
    });
  }

  async unpublish(name: string, target: string): Promise<string> {
    return await this.#perform({
      what: `unpublish ${name} at ${target}`,
      holds: [name],
      ask: async () =>
        await this.#csi().node.NodeUnpublishVolume({
          volumeId: idOf.volume(name),
          targetPath: this.#places(name).target(target),
        }),
      ok: () => [onVolume(name, states.unpublished(target))],
      lost: [onVolume(name, states.unpublished(target))],
    });
  }

  async #perform<T>(call: Call<T>): Promise<string> {
    return await this.#recorder.perform(call);
  }

  /** Checks on the way that its id is the one that the name always has, and its source one that it may have. */
  #bytesOf(name: string, volume: Volume | null | undefined): number {
    if (volume?.volumeId !== idOf.volume(name)) this.#recorder.wrong.push(`${name} has the id ${volume?.volumeId}`);
    const { snapshot } = volume?.contentSource ?? {};
    if (snapshot && snapshotNamed(snapshot.snapshotId ?? '') === undefined) {
      this.#recorder.wrong.push(`${name} is said to be a copy of ${snapshot.snapshotId}`);
    }
    return Number(volume?.capacityBytes);
  }
}
