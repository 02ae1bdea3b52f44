/** Clients that do what comes to their minds to a few shared names, and a record of what they were told. */

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../../src/prove/random.ts';
import type { Csi } from '../../support/csi.ts';
import { kubeletOf } from '../../support/footprint.ts';
import { dataOf } from '../../support/serve.ts';
import type { World } from '../world.ts';
import { BLANKS, COPIES, GROUPS, idOf, SNAPSHOTS, TARGETS } from './names.ts';
import { Recorder } from './recorder.ts';
import { SnapshotCalls } from './snapshot-calls.ts';
import { SIZES, VolumeCalls } from './volume-calls.ts';

/** The groups have few different members, so that calls meet. */
const MEMBERS: readonly (readonly string[])[] = [
  ['v0', 'v1'],
  ['v1', 'v2', 'v3'],
  ['v4', 'v5', 'v6', 'v7'],
  ['v7', 'v8'],
];

type Act = (volumes: VolumeCalls, snapshots: SnapshotCalls, random: Random) => Promise<string>;

const any = <T>(random: Random, items: readonly T[]): T => items[random.below(items.length)] as T;

/** How often, and what. */
const ACTS: readonly (readonly [number, Act])[] = [
  [14, (volumes, _, random) => volumes.create(any(random, BLANKS), any(random, SIZES))],
  [4, (volumes, _, random) => volumes.clone(any(random, COPIES), any(random, BLANKS))],
  [5, (volumes, _, random) => volumes.restore(any(random, COPIES), any(random, SNAPSHOTS))],
  [7, (volumes, _, random) => volumes.delete(any(random, [...BLANKS, ...COPIES, ...COPIES]))],
  [3, (volumes, _, random) => volumes.expand(any(random, BLANKS), any(random, SIZES))],
  [5, (volumes, _, random) => volumes.get(any(random, [...BLANKS, ...COPIES]))],
  [3, (volumes) => volumes.list()],
  [8, (volumes, _, random) => volumes.stage(any(random, BLANKS))],
  [5, (volumes, _, random) => volumes.unstage(any(random, BLANKS))],
  [8, (volumes, _, random) => volumes.publish(any(random, BLANKS), any(random, TARGETS))],
  [7, (volumes, _, random) => volumes.unpublish(any(random, BLANKS), any(random, TARGETS))],
  [9, (_, snapshots, random) => snapshots.take(any(random, SNAPSHOTS), any(random, BLANKS))],
  [6, (_, snapshots, random) => snapshots.delete(any(random, SNAPSHOTS))],
  [4, (_, snapshots, random) => snapshots.get(any(random, SNAPSHOTS))],
  [3, (_, snapshots) => snapshots.list()],
  [6, (_, snapshots, random) => snapshots.takeGroup(any(random, GROUPS), any(random, MEMBERS))],
  [3, (_, snapshots, random) => snapshots.getGroup(any(random, GROUPS), any(random, MEMBERS))],
  [5, (_, snapshots, random) => snapshots.deleteGroup(any(random, GROUPS), any(random, MEMBERS))],
  [2, (_, snapshots, random) => snapshots.deleteMember(any(random, GROUPS), any(random, BLANKS))],
];
const LOTTERY: readonly Act[] = ACTS.flatMap(([weight, act]) => Array.from({ length: weight }, () => act));

export class Workload {
  readonly recorder = new Recorder();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    for (const name of BLANKS) mkdirSync(this.#place(`${name}-staged`), { recursive: true });
  }

  /** One client, until it is told to end. */
  async client(csi: Csi, seed: number, ended: () => boolean): Promise<void> {
    const random = new Random(seed);
    const [volumes, snapshots] = this.#calls(() => csi);
    while (!ended()) {
      const code = await any(random, LOTTERY)(volumes, snapshots, random);
      // As a sidecar does, only sooner: what was in the way gets a moment to go on.
      if (code === 'aborted') await sleep(random.below(20));
    }
  }

  /** Nobody does anything now: one more look at everything, for the record. */
  async look(): Promise<void> {
    const [volumes, snapshots] = this.#calls(() => this.#world.csi);
    await volumes.list();
    await snapshots.list();
    for (const name of [...BLANKS, ...COPIES]) await volumes.get(name);
    for (const name of SNAPSHOTS) await snapshots.get(name);
  }

  /** As the CO would when everything is to go. */
  async deleteEverything(): Promise<void> {
    const { csi } = this.#world;
    for (const name of BLANKS) {
      const volumeId = idOf.volume(name);
      for (const target of TARGETS) {
        await csi.node.NodeUnpublishVolume({ volumeId, targetPath: this.#place(`${name}-${target}`) });
      }
      await csi.node.NodeUnstageVolume({ volumeId, stagingTargetPath: this.#place(`${name}-staged`) });
    }
    for (const name of GROUPS) await this.#deleteGroup(csi, name);
    for (const name of SNAPSHOTS) await csi.controller.DeleteSnapshot({ snapshotId: idOf.snapshot(name) });
    for (const name of [...BLANKS, ...COPIES]) await csi.controller.DeleteVolume({ volumeId: idOf.volume(name) });
  }

  async #deleteGroup(csi: Csi, name: string): Promise<void> {
    const { entries } = await csi.controller.ListSnapshots({});
    const members = entries.filter((entry) => entry.snapshot?.groupSnapshotId === idOf.group(name));
    const snapshotIds = members.map((entry) => entry.snapshot?.snapshotId ?? '');
    await csi.group.DeleteVolumeGroupSnapshot({ groupSnapshotId: idOf.group(name), snapshotIds });
  }

  #calls(csi: () => Csi): readonly [VolumeCalls, SnapshotCalls] {
    const places = (name: string) => ({
      stagingTargetPath: this.#place(`${name}-staged`),
      target: (target: string) => this.#place(`${name}-${target}`),
    });
    return [new VolumeCalls(csi, this.recorder, places, this.#world.volumeIds), new SnapshotCalls(csi, this.recorder)];
  }

  #place(name: string): string {
    return path.join(kubeletOf(this.#world.scratch), name);
  }
}

/** What the pool has promised, by the records that lie in it. Bytes. */
export function promisedBytes(world: World): bigint {
  const pool = path.join(dataOf(world.scratch), 'pool');
  const volumes = readdirSync(path.join(pool, 'volumes')).filter((name) => name.endsWith('.json'));
  const cuts = readdirSync(path.join(pool, 'cuts')).map((token) => path.join(pool, 'cuts', token, 'committed.json'));
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as SpaceRecord;
  const sizes = volumes.map((name) => BigInt(read(path.join(pool, 'volumes', name)).capacityBytes ?? 0));
  const held = cuts
    .filter(existsSync)
    .flatMap((file) => (read(file).snapshots ?? []).map(({ heldBytes }) => BigInt(heldBytes)));
  return [...sizes, ...held].reduce((sum, bytes) => sum + bytes, 0n);
}

/** What a record says about space. */
interface SpaceRecord {
  readonly capacityBytes?: string;
  readonly snapshots?: readonly { readonly heldBytes: string }[];
}
