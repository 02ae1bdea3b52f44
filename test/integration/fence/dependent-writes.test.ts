/**
 * The one promise that everything else is for: for any two writes of which the second was begun after the first was
 * acknowledged, no snapshot group has the second without the first. And the check that can't fail proves nothing, so
 * without a fence it must.
 */
import { open } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import type { AttachedDevice } from '../../../src/core/backend.ts';
import { type Bytes, MiB } from '../../../src/core/bytes.ts';
import type { CutRecord } from '../../../src/core/snapshot.ts';
import { Random } from '../../../src/prove/random.ts';
import { DependentWriter, violationsOf } from '../../support/dependent-writer.ts';
import { numberIn } from '../../support/restored-number.ts';
import { NEVER, Rig } from '../../support/rig.ts';
import { Scratch } from '../../support/scratch.ts';

const ROUNDS = 10;
/** Of the negative control: it ends at the first violation, which comes in the first rounds. */
const UNFENCED_ROUNDS = 40;
/** Extents of an image: so long does its clone take that a writer gets through all volumes meanwhile. */
const EXTENTS = 1500;

interface Member {
  readonly id: string;
  /** What the writer writes to: a file, or the device of a raw volume. */
  readonly path: string;
}

/** Every other block of a part of the device that filesystems do not write to when they are made. */
async function fragment({ path }: AttachedDevice, offset: Bytes): Promise<void> {
  await using file = await open(path, 'r+');
  const block = Buffer.alloc(4096, 1);
  for (let i = 0; i < EXTENTS; i++) await file.write(block, 0, block.length, Number(offset) + i * 8192);
  await file.sync();
}

/** One group snapshot of members in some order. @returns what is wrong with it */
async function round(
  rig: Rig,
  scratch: Scratch,
  writer: DependentWriter,
  members: readonly Member[],
  request: { readonly name: string; readonly order: readonly Member[]; readonly fenced: boolean },
): Promise<readonly string[]> {
  await writer.advance(2);
  const acknowledged = writer.acknowledged();
  const ids = request.order.map(({ id }) => id);
  const records = await rig.coordinator().run(rig.groupRequest(request.name, ids, request.fenced), NEVER);
  const begun = writer.begun();
  const snapshots = new Map(records.flatMap((record: CutRecord) => record.snapshots).map((s) => [s.sourceVolumeId, s]));
  const numbers: number[] = [];
  for (const { id } of members) {
    const snapshot = snapshots.get(id);
    if (!snapshot) throw new Error(`no snapshot of ${id}`);
    numbers.push(await numberIn(rig, scratch, snapshot));
  }
  await rig.backend.deleteGroup(rig.groupRequest(request.name, ids).group?.id ?? '');
  return violationsOf(numbers, acknowledged, begun);
}

async function fourOfExt4(rig: Rig, scratch: Scratch): Promise<readonly Member[]> {
  const members: Member[] = [];
  for (let i = 0; i < 4; i++) {
    const blank = (device: AttachedDevice) => fragment(device, 40n * MiB);
    const { id, mountPoint } = await rig.volume(scratch, `volume-${i}`, 'ext4', 64n * MiB, blank);
    members.push({ id, path: `${mountPoint}/number` });
  }
  return members;
}

test('with the fence, a group is one instant, whatever the order of its members', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const members = await fourOfExt4(rig, scratch);
  await using writer = await DependentWriter.start(members.map(({ path }) => path));
  const random = new Random(1);
  for (let i = 0; i < ROUNDS; i++) {
    const order = i === 0 ? members : i === 1 ? members.toReversed() : random.shuffled(members);
    expect(await round(rig, scratch, writer, members, { name: `group-${i}`, order, fenced: true })).toEqual([]);
  }
});

test('of every filesystem, and one raw block volume among them', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const members: Member[] = [];
  for (const kind of ['xfs', 'raw', 'btrfs', 'ext4'] as const) {
    if (kind === 'raw') {
      const { id, device } = await rig.rawVolume('raw', 64n * MiB);
      await fragment(device, 40n * MiB);
      members.push({ id, path: device.path });
    } else {
      const { id, mountPoint } = await rig.volume(scratch, kind, kind);
      members.push({ id, path: `${mountPoint}/number` });
    }
  }
  await using writer = await DependentWriter.start(members.map(({ path }) => path));
  const random = new Random(2);
  for (let i = 0; i < ROUNDS; i++) {
    const order = random.shuffled(members);
    expect(await round(rig, scratch, writer, members, { name: `group-${i}`, order, fenced: true })).toEqual([]);
  }
});

test('without the fence the check finds that it is not', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const members = await fourOfExt4(rig, scratch);
  await using writer = await DependentWriter.start(members.map(({ path }) => path));
  const random = new Random(3);
  const found: string[] = [];
  for (let i = 0; i < UNFENCED_ROUNDS && found.length === 0; i++) {
    const order = i % 2 === 0 ? members.toReversed() : random.shuffled(members);
    found.push(...(await round(rig, scratch, writer, members, { name: `group-${i}`, order, fenced: false })));
  }
  expect(found).not.toEqual([]);
});

test('the verdict knows every way in which numbers are not one instant', () => {
  expect(violationsOf([5, 5, 5], [5, 5, 4], 6)).toEqual([]);
  expect(violationsOf([6, 6, 5], [5, 5, 5], 6)).toEqual([]);
  expect(violationsOf([5, 6, 5], [0, 0, 0], 6)).toHaveLength(1);
  expect(violationsOf([7, 6, 5], [0, 0, 0], 7)).toHaveLength(1);
  expect(violationsOf([5, 5, 5], [5, 6, 5], 6)).toHaveLength(1);
  expect(violationsOf([7, 7, 7], [5, 5, 5], 6)).toHaveLength(3);
});
