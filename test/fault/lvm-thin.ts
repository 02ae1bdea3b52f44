/**
 * The driver on LVM killed at every step of a group snapshot of a mounted and a raw volume: nothing stays stopped, nothing
 * half stays, the pool is whole. Runs where there is device-mapper: see test/vm/lvm.ts.
 */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { listMapped } from '../../src/host/device-mapper.ts';
import { BLOCK, mountCapability } from '../support/csi.ts';
import { checkThinPool, lvm } from '../support/lvm.ts';
import { eventually } from '../support/scratch.ts';
import { dataOf, LEASE_MS } from '../support/serve.ts';
import { GROUP } from '../vm/ground.ts';
import { MiB, World } from './world.ts';

const POOL = 'fault';

/** Before the commit: the group is absent afterwards. */
const BEFORE = [
  'snapshot.prepared',
  'fence.journaled',
  'fence.armed',
  'round.freeze',
  'round.frozen',
  'snapshot.cut',
  'snapshot.cut@2',
  'round.cut',
  'round.thawed',
  'snapshot.synced',
  'snapshot.sealed',
  'coordinator.decide',
];

let world: World;
let places: readonly string[];
let sourceVolumeIds: readonly string[];

beforeAll(async () => {
  const flags = ['--backend', 'lvm-thin', '--volume-group', GROUP, '--thin-pool', POOL];
  world = await World.open({ quiet: true, poolSize: '1GiB', flags });
  const kinds = [
    ['mounted', mountCapability('ext4')],
    ['raw', BLOCK],
  ] as const;
  const made = await Promise.all(
    kinds.map(async ([name, capability]) => {
      const id = await world.create(name, 32 * MiB, capability);
      await world.stage(id, name, capability);
      return { id, target: await world.publish(id, name, capability) };
    }),
  );
  sourceVolumeIds = made.map(({ id }) => id);
  places = [path.join(made[0]?.target ?? '', 'written'), made[1]?.target ?? ''];
});

afterAll(async () => {
  for (const [i, name] of ['mounted', 'raw'].entries()) {
    const id = sourceVolumeIds[i] ?? '';
    await world.unpublish(id, name);
    await world.unstage(id, name);
    await world.deleteVolume(id);
  }
  await world.serve.stop();
  expect(leftovers()).toEqual([]);
  // LVM itself checks the metadata before it activates a pool; once more, and by hand.
  const dataDir = dataOf(world.scratch);
  checkThinPool(dataDir, GROUP, POOL);
  lvm(dataDir, 'lvremove', '-y', '-ff', `${GROUP}/${POOL}`);
  await world[Symbol.asyncDispose]();
});

test.each(BEFORE)('killed at %s: no group, nothing stopped, and the next call makes it', async (point) => {
  await world.serve.arm(`${point.replace(/(@\d+)?$/, '=kill$1')}`);
  await expect(takeGroup(point)).rejects.toThrow();
  await world.serve.died();
  await expectRunning(LEASE_MS);
  await world.restart();
  expect(await groupsMade()).toBe(0);
  expect(leftovers()).toEqual([]);
  await takeAndDelete(point);
});

test('killed after the commit: the group is there, whole', async () => {
  await world.serve.arm('snapshot.committed=kill');
  await expect(takeGroup('committed')).rejects.toThrow();
  await world.serve.died();
  await world.restart();
  expect(await groupsMade()).toBe(2);
  await takeAndDelete('committed');
});

test('killed with its guard while all is stopped: the next start lets go', async () => {
  await world.serve.arm('round.frozen=stop');
  const call = takeGroup('both').catch((error: unknown) => error);
  await world.serve.stopped();
  const guard = await world.serve.guard();
  expect(await suspended()).toHaveLength(2);
  process.kill(guard ?? 0, 'SIGKILL');
  await world.serve.kill();
  await call;
  expect(await suspended()).toHaveLength(2);
  await world.restart();
  await expectRunning(1000);
  expect(leftovers()).toEqual([]);
  await takeAndDelete('both');
});

async function takeGroup(name: string): Promise<string> {
  const { groupSnapshot } = await world.csi.group.CreateVolumeGroupSnapshot({
    name,
    sourceVolumeIds: [...sourceVolumeIds],
  });
  return groupSnapshot?.groupSnapshotId ?? '';
}

async function takeAndDelete(name: string): Promise<void> {
  const groupSnapshotId = await takeGroup(name);
  const { entries } = await world.csi.controller.ListSnapshots({});
  const snapshotIds = entries.map(({ snapshot }) => snapshot?.snapshotId ?? '');
  expect(snapshotIds).toHaveLength(2);
  await world.csi.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
  expect(await groupsMade()).toBe(0);
}

async function groupsMade(): Promise<number> {
  return (await world.csi.controller.ListSnapshots({})).entries.length;
}

/** Both volumes take writes, soon. */
async function expectRunning(withinMs: number): Promise<void> {
  await eventually('nothing is suspended', async () => (await suspended()).length === 0, withinMs + 5000);
  for (const place of places) await world.scratch.writer(place).done;
}

async function suspended(): Promise<readonly string[]> {
  return (await listMapped()).filter((device) => device.suspended).map(({ name }) => name);
}

/** Logical volumes that no commit stands behind. */
function leftovers(): readonly string[] {
  const listed = lvm(dataOf(world.scratch), 'lvs', '-o', 'lv_name,lv_tags', GROUP).split('\n');
  return listed.filter((line) => line.includes('snap-') || /state=(pending|sealed)/.test(line));
}
