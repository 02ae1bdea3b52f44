/** A pool that is really full: what is asked for is refused, what is there stays whole, and room made is room used. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, statfsSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { messageOf } from '../../src/core/errors.ts';
import { checkFilesystem } from '../../src/host/filesystem.ts';
import { codeOf, mountCapability } from '../support/csi.ts';
import { eventually } from '../support/scratch.ts';
import { dataOf } from '../support/serve.ts';
import { insist, timeless } from './crash/scenario.ts';
import { SNAPSHOT_SCENARIOS } from './crash/snapshots.ts';
import { VOLUME_SCENARIOS } from './crash/volumes.ts';
import { SharedWorld } from './shared-world.ts';
import { MiB, World } from './world.ts';

const EXT4 = mountCapability('ext4');

const BLOCK = 4096;

/** A file in the pool that is nobody's: the driver touches nothing that it does not know. */
class Ballast {
  readonly #pool: string;
  readonly #file: string;
  #freeBefore = 0;

  constructor(world: World) {
    this.#pool = path.join(dataOf(world.scratch), 'pool');
    this.#file = path.join(this.#pool, 'ballast');
  }

  /** Takes all but so many bytes, to the block: in ever smaller pieces, since the filesystem keeps some for itself. */
  fill(leave: number): void {
    this.#freeBefore = this.#free();
    for (let most = this.#freeBefore; most >= BLOCK; ) {
      const piece = Math.min(most, Math.floor((this.#free() - leave) / BLOCK) * BLOCK);
      if (piece < BLOCK) break;
      if (!this.#grow(piece)) most = Math.floor(piece / 2 / BLOCK) * BLOCK;
    }
  }

  /** And waits until the space is free: that happens in the background. */
  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
    await eventually('the ballast is gone', () => this.#free() > this.#freeBefore * 0.9);
  }

  #free(): number {
    const { bavail, bsize } = statfsSync(this.#pool);
    return bavail * bsize;
  }

  #grow(bytes: number): boolean {
    try {
      execFileSync('fallocate', ['--offset', String(this.#size()), '--length', String(bytes), this.#file], {
        stdio: 'ignore',
      });
      return true;
    } catch {
      return false;
    }
  }

  #size(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
  }
}

describe('with a reserve, on a full pool', () => {
  const shared = new SharedWorld({ poolSize: '1GiB' });
  afterAll(async () => shared[Symbol.asyncDispose]());
  const makers = [...VOLUME_SCENARIOS, ...SNAPSHOT_SCENARIOS].filter(({ answersWithIt }) => answersWithIt);
  const removers = [...VOLUME_SCENARIOS, ...SNAPSHOT_SCENARIOS].filter(({ background }) => background);

  test.each(makers.map((each) => [each.name, each] as const))(
    '%s: refused, and made when there is room',
    async (_, scenario) => {
      await shared.play(scenario, async (world, reference) => {
        const ballast = new Ballast(world);
        // The reserve is for those who write to what they have.
        ballast.fill(16 * MiB);
        expect(await codeOf(scenario.act(world))).toBe('resource-exhausted');
        await world.settled(reference.before);
        await world.writers?.expectWriting();
        await ballast.remove();
        expect(timeless(await whenThereIsRoom(() => scenario.act(world)))).toEqual(reference.answer);
        await world.settled(reference.after);
        await scenario.revert(world);
        await world.settled(reference.before);
        world.writers?.expectNoStall();
      });
    },
  );

  test.each(removers.map((each) => [each.name, each] as const))('%s, which makes room', async (_, scenario) => {
    await shared.play(scenario, async (world, reference) => {
      const ballast = new Ballast(world);
      ballast.fill(0);
      expect(await codeOf(scenario.act(world))).toBe('ok');
      await ballast.remove();
      await world.settled(reference.after);
      await whenThereIsRoom(() => scenario.revert(world));
      await world.settled(reference.before);
    });
  });

  test('then everything is deleted, and nothing is left', async () => {
    await shared.close();
  });
});

test('without a reserve, down to the last block: refused or done, whole, and never INTERNAL', async () => {
  const flags = ['--pool-reserve', '0', '--overcommit-ratio', '1000', '--log-level', 'warn'];
  await using world = await World.open({ quiet: true, poolSize: '512MiB', flags });
  const source = await world.create('source', 16 * MiB, EXT4);
  await world.stage(source, 'source', EXT4);
  await world.unstage(source, 'source');
  const growing = await world.create('growing', 16 * MiB, EXT4);
  const ballast = new Ballast(world);
  const outcomes = new Map<string, number>();
  // From a few blocks to some room: records, folders and reflinks stop at different places.
  for (const left of [0, 24, 64, 128, 192, 256, 320, 384, 512, 768].map((kib) => kib * 1024)) {
    ballast.fill(left);
    const before = await world.footprint();
    const answers = await act(world, [source, growing], `at ${left}`);
    for (const [what, code] of answers) outcomes.set(`${what} ${code}`, (outcomes.get(`${what} ${code}`) ?? 0) + 1);
    await deleteAllBut(world, [source, growing]);
    await world.settled(before);
    await ballast.remove();
  }
  console.log([...outcomes].map(([what, count]) => `${what}: ${count}`).join(', '));
  const codes = [...outcomes.keys()].map((key) => key.split(' ').at(-1));
  expect(new Set(codes)).toEqual(new Set(['ok', 'resource-exhausted']));
  for (const [what, code] of await act(world, [source, growing], 'with room'))
    expect([what, code]).toEqual([what, 'ok']);
  await deleteAllBut(world, [source, growing]);
  await world.deleteVolume(source);
  await world.deleteVolume(growing);
  await world.close();
});

/** Each call that takes space, and its code. */
async function act(
  world: World,
  [source, growing]: readonly [string, string],
  name: string,
): Promise<readonly (readonly [string, string])[]> {
  const { controller, group } = world.csi;
  const volumeCapabilities = [EXT4];
  const capacityRange = { requiredBytes: String(16 * MiB) };
  const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['create', () => controller.CreateVolume({ name, capacityRange, volumeCapabilities })],
    [
      'clone',
      () =>
        controller.CreateVolume({
          name: `clone ${name}`,
          volumeCapabilities,
          volumeContentSource: { volume: { volumeId: source } },
        }),
    ],
    ['snapshot', () => controller.CreateSnapshot({ name, sourceVolumeId: source })],
    ['group', () => group.CreateVolumeGroupSnapshot({ name, sourceVolumeIds: [source] })],
    [
      'expand',
      async () => {
        const { volume } = await controller.ControllerGetVolume({ volumeId: growing });
        const requiredBytes = String(Number(volume?.capacityBytes) + MiB);
        await controller.ControllerExpandVolume({ volumeId: growing, capacityRange: { requiredBytes } });
      },
    ],
  ];
  const answers: (readonly [string, string])[] = [];
  for (const [what, call] of calls) answers.push([what, await codeOf(call())]);
  return answers;
}

async function deleteAllBut({ csi }: World, staying: readonly string[]): Promise<void> {
  const { entries: snapshots } = await csi.controller.ListSnapshots({});
  for (const { snapshot } of snapshots) {
    const { snapshotId = '', groupSnapshotId = '' } = snapshot ?? {};
    if (groupSnapshotId === '') await csi.controller.DeleteSnapshot({ snapshotId });
    else await csi.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds: [snapshotId] });
  }
  const { entries: volumes } = await csi.controller.ListVolumes({});
  for (const { volume } of volumes) {
    if (volume && !staying.includes(volume.volumeId)) await csi.controller.DeleteVolume({ volumeId: volume.volumeId });
  }
}

test('a volume that fills the pool: the others keep what they have, and go on when it is gone', async () => {
  await using world = await World.open({ quiet: true, poolSize: '512MiB' });
  const greedy = await world.create('greedy', 2048 * MiB, EXT4);
  const modest = await world.create('modest', 64 * MiB, EXT4);
  for (const [id, name] of [
    [greedy, 'greedy'],
    [modest, 'modest'],
  ] as const) {
    await world.stage(id, name, EXT4);
    await world.publish(id, name, EXT4);
  }
  const content = randomBytes(8 * MiB);
  const file = path.join(await world.place('modest'), 'content');
  writeFileSync(file, content, { flush: true });

  const failure = fillUp(path.join(await world.place('greedy'), 'content'));
  expect(messageOf(failure)).toMatch(/EIO|ENOSPC|EROFS/);
  expect(await codeOf(world.create('late', 64 * MiB, EXT4))).toBe('resource-exhausted');
  expect(sha256(readFileSync(file))).toBe(sha256(content));
  // In place: its blocks are its own.
  writeFileSync(file, content, { flag: 'r+', flush: true });

  await world.unpublish(greedy, 'greedy');
  await world.unstage(greedy, 'greedy');
  await world.deleteVolume(greedy);
  await whenThereIsRoom(async () => world.create('late', 64 * MiB, EXT4));
  writeFileSync(`${file} 2`, content, { flush: true });
  expect(sha256(readFileSync(file))).toBe(sha256(content));
  expect(sha256(readFileSync(`${file} 2`))).toBe(sha256(content));
  await world.unpublish(modest, 'modest');
  await world.unstage(modest, 'modest');
  const image = path.join(dataOf(world.scratch), 'pool/volumes', `${modest.split('.')[0]}.img`);
  expect(await checkFilesystem(image, 'ext4')).toMatchObject({ clean: true });
  for (const { volume } of (await world.csi.controller.ListVolumes({})).entries) {
    await world.deleteVolume(volume?.volumeId ?? '');
  }
  await world.close();
});

/** @returns what ended it */
function fillUp(file: string): unknown {
  const chunk = randomBytes(MiB);
  const fd = openSync(file, 'w');
  try {
    for (;;) {
      writeSync(fd, chunk);
      fsyncSync(fd);
    }
  } catch (error) {
    return error;
  } finally {
    closeSync(fd);
  }
}

/** What was deleted is freed in the background. */
async function whenThereIsRoom<T>(call: () => Promise<T>): Promise<T> {
  let made: { readonly value: T } | undefined;
  await eventually('there is room', async () => {
    try {
      made = { value: await insist(call) };
      return true;
    } catch (error) {
      if (!messageOf(error).includes('can promise')) throw error;
      return false;
    }
  });
  if (!made) throw new Error('unreachable');
  return made.value;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
