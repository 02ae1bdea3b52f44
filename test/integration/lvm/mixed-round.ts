/**
 * A round whose members lie in pools of both backends, each with an agent and a guard of its own. Runs where there is
 * device-mapper: see test/vm/lvm.ts.
 */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { NodeDirectory } from '../../../src/core/node-agent.ts';
import { compareIds } from '../../../src/core/sorted-index.ts';
import { makeFilesystem } from '../../../src/host/filesystem.ts';
import { unmount } from '../../../src/host/mount.ts';
import { Random } from '../../../src/prove/random.ts';
import { DependentWriter, violationsOf } from '../../support/dependent-writer.ts';
import { lvm, mappedName } from '../../support/lvm.ts';
import { numberIn } from '../../support/restored-number.ts';
import { NEVER, NODE, Rig } from '../../support/rig.ts';
import { Scratch } from '../../support/scratch.ts';
import { GROUP } from '../../vm/ground.ts';

const ROUNDS = 5;
/** Of the negative control: it ends at the first violation. */
const UNFENCED_ROUNDS = 30;
const POOL = 'mixed';
const LV = 'mixed-loop';

interface Member {
  readonly rig: Rig;
  readonly id: string;
  readonly path: string;
}

let scratch: Scratch;
let thin: Rig;
let loop: Rig;
let members: readonly Member[];

beforeAll(async () => {
  scratch = await Scratch.open();
  const thinOptions = { backend: 'lvm-thin', volumeGroup: GROUP, thinPool: POOL } as const;
  thin = await Rig.open(scratch.path('thin'), { nodeName: 'node-b', ...thinOptions });
  // A reflink filesystem for the images: what is below in the guest has no direct I/O.
  lvm(thin.dataDir, 'lvcreate', '-y', '-L', '1g', '-n', LV, GROUP);
  const device = `/dev/mapper/${mappedName(GROUP, LV)}`;
  await makeFilesystem(device, 'xfs');
  loop = await Rig.open(await scratch.mount('loop', device, 'xfs'), { nodeName: NODE });
  const onLoop = await loop.volume(scratch, 'on-loop', 'ext4');
  const raw = await thin.rawVolume('raw');
  const mounted = await thin.volume(scratch, 'mounted', 'ext4');
  members = [
    { rig: loop, id: onLoop.id, path: `${onLoop.mountPoint}/number` },
    { rig: thin, id: raw.id, path: raw.device.path },
    { rig: thin, id: mounted.id, path: `${mounted.mountPoint}/number` },
  ];
});

afterAll(async () => {
  for (const { rig, id, path: place } of members) {
    if (place.endsWith('/number')) await unmount(path.dirname(place));
    await rig.backend.detach(id);
  }
  await loop[Symbol.asyncDispose]();
  await thin[Symbol.asyncDispose]();
  await unmount(loop.dataDir);
  for (const name of [POOL, LV]) lvm(scratch.path('thin'), 'lvremove', '-y', '-ff', `${GROUP}/${name}`);
  await scratch[Symbol.asyncDispose]();
});

test('members on loop and on LVM, mounted and raw, are one instant', async () => {
  await using writer = await DependentWriter.start(members.map(({ path }) => path));
  const random = new Random(1);
  const windows: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const { violations, nodes, evidence } = await round(`group-${i}`, random.shuffled(members), writer, true);
    expect(violations).toEqual([]);
    // Home first.
    expect(nodes).toEqual([loop.node, thin.node]);
    expect(evidence.map(({ quiescence }) => quiescence).toSorted()).toEqual(['frozen', 'frozen', 'suspended']);
    windows.push(Math.max(...evidence.map(({ thawedAtMs }) => thawedAtMs)));
  }
  console.log(`windows: ${windows.map((ms) => Math.round(ms)).join(' ')} ms`);
});

test('without the fence they are not', async () => {
  await using writer = await DependentWriter.start(members.map(({ path }) => path));
  let found: readonly string[] = [];
  for (let i = 0; i < UNFENCED_ROUNDS && found.length === 0; i++) {
    ({ violations: found } = await round(`unfenced-${i}`, members.toReversed(), writer, false));
  }
  expect(found).not.toEqual([]);
});

function coordinator() {
  const rigs = [loop, thin];
  const directory: NodeDirectory = {
    agent: (name) => (rigs.find(({ node }) => node === name) ?? loop).agent,
    has: (name) => rigs.some(({ node }) => node === name),
    nodes: () => rigs.map(({ node }) => node).sort(compareIds),
  };
  return loop.coordinator(directory);
}

/** One group snapshot, looked at and deleted. */
async function round(name: string, order: readonly Member[], writer: DependentWriter, fenced: boolean) {
  await writer.advance(2);
  const acknowledged = writer.acknowledged();
  const request = loop.groupRequest(
    name,
    order.map(({ id }) => id),
    fenced,
  );
  const records = await coordinator().run(request, NEVER);
  const begun = writer.begun();
  const snapshots = records.flatMap((record) => record.snapshots);
  const numbers: number[] = [];
  for (const { rig, id } of members) {
    const snapshot = snapshots.find(({ sourceVolumeId }) => sourceVolumeId === id);
    if (!snapshot) throw new Error(`no snapshot of ${id}`);
    numbers.push(await numberIn(rig, scratch, snapshot));
  }
  await deleteGroup(request.group?.id ?? '');
  const evidence = records.flatMap((record) => record.evidence);
  return { violations: violationsOf(numbers, acknowledged, begun), nodes: records.map(({ node }) => node), evidence };
}

async function deleteGroup(id: string): Promise<void> {
  for (const { agent } of [thin, loop]) await agent.deleteGroup(id, NEVER);
}
