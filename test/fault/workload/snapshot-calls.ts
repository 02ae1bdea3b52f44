/** Calls about snapshots and groups, each with what its answers say. */
import type { Snapshot__Output } from '../../../src/gen/csi/v1/Snapshot.ts';
import type { Timestamp } from '../../../src/gen/google/protobuf/Timestamp.ts';
import type { Csi } from '../../support/csi.ts';
import { GROUPS, idOf, SNAPSHOTS, volumeNamed } from './names.ts';
import { type Findings, onGroup, onSnapshot, onVolume, type Recorder } from './recorder.ts';
import * as states from './states.ts';

export class SnapshotCalls {
  readonly #csi: () => Csi;
  readonly #recorder: Recorder;

  constructor(csi: () => Csi, recorder: Recorder) {
    this.#csi = csi;
    this.#recorder = recorder;
  }

  async take(name: string, source: string): Promise<string> {
    return await this.#recorder.perform({
      what: `snapshot ${name} of ${source}`,
      holds: [name, source],
      ask: async () => await this.#csi().controller.CreateSnapshot({ name, sourceVolumeId: idOf.volume(source) }),
      ok: ({ snapshot }) => [onSnapshot(name, states.taken(source, timeOf(snapshot?.creationTime)))],
      codes: {
        'already-exists': () => [onSnapshot(name, states.otherSource(source))],
        'not-found': () => [onSnapshot(name, states.absent), onVolume(source, states.absent)],
      },
      lost: [onSnapshot(name, states.takenUnseen(source))],
    });
  }

  async delete(name: string): Promise<string> {
    return await this.#recorder.perform({
      what: `delete-snapshot ${name}`,
      holds: [name],
      ask: async () => await this.#csi().controller.DeleteSnapshot({ snapshotId: idOf.snapshot(name) }),
      ok: () => [onSnapshot(name, states.removed)],
      lost: [onSnapshot(name, states.removed)],
    });
  }

  async get(name: string): Promise<string> {
    return await this.#recorder.perform({
      what: `get-snapshot ${name}`,
      holds: [],
      ask: async () => await this.#csi().controller.GetSnapshot({ snapshotId: idOf.snapshot(name) }),
      ok: ({ snapshot }) => [onSnapshot(name, seen(snapshot))],
      codes: { 'not-found': () => [onSnapshot(name, states.absent)] },
      lost: [],
    });
  }

  /** Of a group all members are listed, or none. */
  async list(): Promise<string> {
    return await this.#recorder.perform({
      what: 'list-snapshots',
      holds: [],
      ask: async () => await this.#csi().controller.ListSnapshots({}),
      ok: ({ entries }) => {
        const listed = entries.flatMap(({ snapshot }) => snapshot ?? []);
        const single = SNAPSHOTS.map((name) => {
          const snapshot = listed.find(({ snapshotId }) => snapshotId === idOf.snapshot(name));
          return onSnapshot(name, snapshot ? seen(snapshot) : states.absent);
        });
        return [...single, ...GROUPS.map((name) => this.#groupIn(listed, name))];
      },
      lost: [],
    });
  }

  async takeGroup(name: string, members: readonly string[]): Promise<string> {
    const sources = sourcesOf(members);
    return await this.#recorder.perform({
      what: `group ${name} of ${sources}`,
      holds: [name, ...members],
      ask: async () =>
        await this.#csi().group.CreateVolumeGroupSnapshot({ name, sourceVolumeIds: members.map(idOf.volume) }),
      ok: ({ groupSnapshot }) => {
        const snapshots = groupSnapshot?.snapshots ?? [];
        const taken = sourcesOf(snapshots.map(({ sourceVolumeId }) => volumeNamed(sourceVolumeId)));
        if (taken !== sources) this.#recorder.wrong.push(`group ${name} of ${sources} is answered with ${taken}`);
        return [onGroup(name, states.taken(sources, timeOf(groupSnapshot?.creationTime)))];
      },
      codes: {
        'already-exists': () => [onGroup(name, states.otherSource(sources))],
        'not-found': (message) => [onGroup(name, states.absent), ...absentIn(message)],
      },
      lost: [onGroup(name, states.takenUnseen(sources))],
    });
  }

  async getGroup(name: string, members: readonly string[]): Promise<string> {
    const sources = sourcesOf(members);
    return await this.#recorder.perform({
      what: `get-group ${name} of ${sources}`,
      holds: [name],
      ask: async () =>
        await this.#csi().group.GetVolumeGroupSnapshot({
          groupSnapshotId: idOf.group(name),
          snapshotIds: idOf.members(name, members),
        }),
      ok: ({ groupSnapshot }) => [onGroup(name, states.seenSnapshot(sources, timeOf(groupSnapshot?.creationTime)))],
      codes: {
        'not-found': () => [onGroup(name, states.absent)],
        'invalid-argument': () => [onGroup(name, states.otherSource(sources))],
      },
      lost: [],
    });
  }

  async deleteGroup(name: string, members: readonly string[]): Promise<string> {
    const sources = sourcesOf(members);
    return await this.#recorder.perform({
      what: `delete-group ${name} of ${sources}`,
      holds: [name],
      ask: async () =>
        await this.#csi().group.DeleteVolumeGroupSnapshot({
          groupSnapshotId: idOf.group(name),
          snapshotIds: idOf.members(name, members),
        }),
      ok: () => [onGroup(name, states.removed)],
      codes: { 'invalid-argument': () => [onGroup(name, states.otherSource(sources))] },
      lost: [onGroup(name, states.removed)],
    });
  }

  /** What is part of a group goes with it, and never alone. */
  async deleteMember(name: string, member: string): Promise<string> {
    const [snapshotId = ''] = idOf.members(name, [member]);
    return await this.#recorder.perform({
      what: `delete-member ${member} of ${name}`,
      holds: [name],
      ask: async () => await this.#csi().controller.DeleteSnapshot({ snapshotId }),
      ok: () => [onGroup(name, (state) => (state?.source.split(' ').includes(member) ? [] : [state]))],
      codes: { 'invalid-argument': () => [onGroup(name, (state) => (state === null ? [] : [state]))] },
      lost: [],
    });
  }

  #groupIn(listed: readonly Snapshot__Output[], name: string): Findings[number] {
    const members = listed.filter(({ groupSnapshotId }) => groupSnapshotId === idOf.group(name));
    const [first] = members;
    if (!first) return onGroup(name, states.absent);
    const sources = sourcesOf(members.map(({ sourceVolumeId }) => volumeNamed(sourceVolumeId)));
    return onGroup(name, states.seenSnapshot(sources, timeOf(first.creationTime)));
  }
}

function sourcesOf(members: readonly string[]): string {
  return members.toSorted((a, b) => (a < b ? -1 : 1)).join(' ');
}

function seen(snapshot: Snapshot__Output | null | undefined) {
  return states.seenSnapshot(volumeNamed(snapshot?.sourceVolumeId ?? ''), timeOf(snapshot?.creationTime));
}

function timeOf(time: Timestamp | null | undefined): string {
  return `${String(time?.seconds)}.${time?.nanos}`;
}

/** `volume "vol-..." does not exist` */
function absentIn(message: string): Findings {
  const id = /volume "([^"]+)"/.exec(message)?.[1];
  return id === undefined ? [] : [onVolume(volumeNamed(id), states.absent)];
}
