/**
 * The driver is killed again and again, at any moment, in the middle of whatever its clients do; now and then its guard
 * with it. What was acknowledged is there after each start, what was not is there whole or not at all.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { Random } from '../../src/prove/random.ts';
import { insist } from './crash/scenario.ts';
import { Workload } from './workload/workload.ts';
import { World } from './world.ts';

const KILLS = 30;
const CLIENTS = 6;
const LONGEST_LIFE_MS = 600;
const SEED = Number(process.env.FAULT_SEED ?? randomInt(2 ** 31));

test(`${KILLS} kills, seed ${SEED}`, async () => {
  await using world = await World.open();
  const random = new Random(SEED);
  const workload = new Workload(world);
  const { recorder } = workload;
  for (let kill = 0; kill < KILLS; kill++) {
    recorder.dying = false;
    const { serve } = world;
    const csi = await serve.connect();
    const clients = Array.from({ length: CLIENTS }, async () =>
      workload.client(csi, random.below(2 ** 31), () => recorder.dying),
    );
    // The volumes that are written to all the time take part as well.
    const rounds = takeRounds(world, () => recorder.dying);
    rounds.catch(() => undefined); // awaited below, after the kill
    await sleep(random.below(LONGEST_LIFE_MS));
    recorder.dying = true;
    const guard = random.below(3) === 0 ? await serve.guard() : undefined;
    if (guard !== undefined) process.kill(guard, 'SIGKILL');
    await serve.kill();
    await Promise.all([...clients, rounds]);
    csi[Symbol.dispose]();

    await world.restart();
    recorder.settleLost();
    await world.writers?.expectWriting();
    // While both are dead nobody thaws: the wait for the start is not counted.
    if (guard === undefined) world.writers?.expectNoStall();
    else world.writers?.longestStall();
  }
  recorder.dying = false;
  await workload.look();
  console.log(`seed ${SEED}: ${recorder.summary()}`);
  expect(recorder.complaints()).toEqual([]);

  await workload.deleteEverything();
  await deleteRounds(world);
  await world.close();
});

/** A group snapshot of the mounted volumes, made and deleted in turn. */
async function takeRounds(world: World, ended: () => boolean): Promise<void> {
  const { csi, volumeIds: sourceVolumeIds } = world;
  while (!ended()) {
    try {
      const { groupSnapshot } = await insist(() =>
        csi.group.CreateVolumeGroupSnapshot({ name: 'always', sourceVolumeIds }),
      );
      const snapshotIds = groupSnapshot?.snapshots.map(({ snapshotId }) => snapshotId) ?? [];
      const groupSnapshotId = groupSnapshot?.groupSnapshotId ?? '';
      if (snapshotIds.length !== sourceVolumeIds.length) throw new Error(`${snapshotIds.length} members`);
      await csi.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
    } catch (error) {
      if (!ended()) throw error;
    }
  }
}

async function deleteRounds({ csi }: World): Promise<void> {
  const { entries } = await csi.controller.ListSnapshots({});
  const snapshots = entries.flatMap(({ snapshot }) => snapshot ?? []);
  const [groupSnapshotId] = snapshots.map((snapshot) => snapshot.groupSnapshotId);
  if (groupSnapshotId === undefined) return;
  const snapshotIds = snapshots.map(({ snapshotId }) => snapshotId);
  await csi.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
}
