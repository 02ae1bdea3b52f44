/** A snapshot of one volume is a round of one node: its controllers die, and come in pairs, all the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Csi, codeOf, mountCapability } from '../support/csi.ts';
import { LEASE_MS } from './faults.ts';
import { ClusterWorld } from './world.ts';

let world: ClusterWorld;
beforeAll(async () => {
  world = await ClusterWorld.open({ controllers: 2, leaseMs: LEASE_MS });
});
afterAll(async () => world[Symbol.asyncDispose]());

/** Of the volume on the node that no group has for its home. */
function snapshot(name: string, csi: Csi = world.cluster.csi()) {
  return csi.controller.CreateSnapshot({ name, sourceVolumeId: world.volumeIds[1] ?? '' });
}

async function remove(snapshotId: string): Promise<void> {
  await world.insist(() => world.cluster.csi().controller.DeleteSnapshot({ snapshotId }));
}

/** The controller dies where it is when it passes this point. @returns the code of the call */
async function killedAt(point: string, name: string): Promise<string> {
  const { cluster } = world;
  cluster.arm('controller-1', `${point}=stop`);
  const code = codeOf(snapshot(name));
  await cluster.stopped('controller-1');
  cluster.arm('controller-1', '');
  await cluster.kill('controller-1');
  return await code;
}

test('the controller dies after the cut: the node gives it up by itself after two leases, and the same call makes it', async () => {
  const { cluster, writers } = world;
  const before = await world.footprint();
  const begin = performance.now();
  expect(await killedAt('coordinator.decide', 'given-up')).toBe('unavailable');
  // Nobody asks for it.
  await world.settled(before);
  expect(performance.now() - begin).toBeGreaterThan(2 * LEASE_MS);
  await writers.expectWriting();

  await cluster.restart();
  expect((await cluster.csi().controller.ListSnapshots({})).entries).toEqual([]);
  const made = await world.insist(() => snapshot('given-up'));
  expect(made.snapshot?.readyToUse).toBe(true);
  await remove(made.snapshot?.snapshotId ?? '');
  await world.settled(before);
});

test('the controller dies after the commit: the same call answers the same snapshot', async () => {
  const { cluster } = world;
  const before = await world.footprint();
  expect(await killedAt('coordinator.decided', 'kept')).toBe('unavailable');
  await cluster.restart();
  const { entries } = await cluster.csi().controller.ListSnapshots({});
  expect(entries).toHaveLength(1);
  const again = await world.insist(() => snapshot('kept'));
  expect(again.snapshot).toEqual(entries[0]?.snapshot);
  await remove(again.snapshot?.snapshotId ?? '');
  await world.settled(before);
});

test('two controllers that take the same snapshot at the same time take one, and both answer it', async () => {
  const { cluster } = world;
  const before = await world.footprint();
  for (let turn = 0; turn < 10; turn++) {
    const answers = await Promise.all(
      cluster.controllers.map(async (controller, i) => {
        // Not always in step.
        await sleep(turn * 5 * i);
        return await world.insist(() => snapshot(`both-${turn}`, cluster.csi(controller)));
      }),
    );
    expect(answers[1]).toEqual(answers[0]);
    const { entries } = await cluster.csi().controller.ListSnapshots({});
    expect(entries.map((entry) => entry.snapshot)).toEqual([answers[0]?.snapshot]);
    await remove(answers[0]?.snapshot?.snapshotId ?? '');
  }
  await world.settled(before);
});

test('two controllers that create the same volume, which may be anywhere, at the same time create one', async () => {
  const { cluster, volumeIds } = world;
  const before = await world.footprint();
  for (let turn = 0; turn < 10; turn++) {
    const request = { name: `anywhere-${turn}`, volumeCapabilities: [mountCapability()] };
    const answers = await Promise.all(
      cluster.controllers.map(async (controller, i) => {
        await sleep(turn * 3 * i);
        return await world.insist(() => cluster.csi(controller).controller.CreateVolume(request));
      }),
    );
    expect(answers[1]).toEqual(answers[0]);
    const volumeId = answers[0]?.volume?.volumeId ?? '';
    const { entries } = await cluster.csi().controller.ListVolumes({});
    expect(new Set(entries.map(({ volume }) => volume?.volumeId))).toEqual(new Set([...volumeIds, volumeId]));
    await world.insist(() => cluster.csi().controller.DeleteVolume({ volumeId }));
  }
  await world.settled(before);
});
