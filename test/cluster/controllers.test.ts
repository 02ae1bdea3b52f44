/** Controllers without nodes, with nodes that come and go, and two at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hasCode } from '../../src/core/errors.ts';
import { Cluster } from '../support/cluster.ts';
import { codeOf, mountCapability } from '../support/csi.ts';
import { eventually } from '../support/scratch.ts';
import { ClusterWorld, createOn } from './world.ts';

/** A controller looks at its list every few seconds. */
const TOLD_MS = 60_000;
/** Between the calls of a caller that makes one thing after the other. */
const PAUSE_MS = 100;

test('without any node that answers, a controller answers for itself, and says what is missing for the rest', async () => {
  await using cluster = await Cluster.start({ nodes: 1 });
  const { identity, controller, group } = cluster.csi();
  const sourceVolumeIds = [await createOn(cluster.csi(), 'node-1')];
  await cluster.kill('node-1');
  expect(await identity.Probe({})).toMatchObject({ ready: { value: true } });
  const { capabilities } = await identity.GetPluginCapabilities({});
  expect(capabilities.map(({ service }) => service?.type)).toEqual(
    expect.arrayContaining(['CONTROLLER_SERVICE', 'GROUP_CONTROLLER_SERVICE', 'VOLUME_ACCESSIBILITY_CONSTRAINTS']),
  );
  expect(await controller.GetCapacity({})).toMatchObject({ availableCapacity: '0' });
  expect(await codeOf(createOn(cluster.csi(), 'node-1', 'other'))).toBe('unavailable');
  // A list with holes would be read as things deleted.
  expect(await codeOf(controller.ListVolumes({}))).toBe('unavailable');
  expect(await codeOf(group.CreateVolumeGroupSnapshot({ name: 'g', sourceVolumeIds }))).toBe('unavailable');

  await cluster.restart();
  await eventually('the node is back', async () => (await codeOf(controller.ListVolumes({}))) === 'ok', TOLD_MS);
  const { groupSnapshot } = await group.CreateVolumeGroupSnapshot({ name: 'g', sourceVolumeIds });
  expect(groupSnapshot?.snapshots).toHaveLength(1);
});

test('every endpoint serves what its role has, and Identity is the same at all of them', async () => {
  await using cluster = await Cluster.start({ nodes: 1 });
  const [controller, node] = [cluster.csi(), cluster.csi('node-1')];
  expect(await node.identity.GetPluginInfo({})).toEqual(await controller.identity.GetPluginInfo({}));
  expect(await node.identity.GetPluginCapabilities({})).toEqual(await controller.identity.GetPluginCapabilities({}));
  expect(await codeOf(controller.node.NodeGetInfo({}))).toBe('unimplemented');
  expect(await codeOf(node.controller.ListVolumes({}))).toBe('unimplemented');
  expect(await codeOf(node.group.GroupControllerGetCapabilities({}))).toBe('unimplemented');
  expect(await node.node.NodeGetInfo({})).toMatchObject({ nodeId: 'node-1' });
});

describe('two controllers', () => {
  let world: ClusterWorld;
  beforeAll(async () => {
    world = await ClusterWorld.open({ controllers: 2 });
  });
  afterAll(async () => world[Symbol.asyncDispose]());

  test('that take the same group snapshot at the same time take one, and both answer it', async () => {
    const { cluster } = world;
    const before = await world.footprint();
    for (let turn = 0; turn < 10; turn++) {
      const name = `both-${turn}`;
      const answers = await Promise.all(
        cluster.controllers.map(async (controller, i) => {
          // Not always in step.
          await sleep(turn * 15 * i);
          return await world.insist(() => world.group(name, cluster.csi(controller)));
        }),
      );
      const [one, other] = answers.map(({ groupSnapshot }) => groupSnapshot);
      expect(one?.snapshots).toHaveLength(3);
      expect(other).toEqual(one);
      expect(await world.committedOn(name)).toEqual(cluster.nodes);
      const snapshotIds = one?.snapshots.map(({ snapshotId }) => snapshotId) ?? [];
      const request = { groupSnapshotId: one?.groupSnapshotId ?? '', snapshotIds };
      const deletions = cluster.controllers.map(
        (name) => () => cluster.csi(name).group.DeleteVolumeGroupSnapshot(request),
      );
      await Promise.all(deletions.map((remove) => world.insist(remove)));
    }
    await world.settled(before);
  });

  test('nodes come and go on their list while calls are made: nothing is lost, and no answer is wrong', async () => {
    const { cluster, volumeIds } = world;
    const before = await world.footprint();
    const { agents } = cluster.running;
    const without = (gone: string) => new Map([...agents].filter(([node]) => node !== gone));
    const over = new AbortController();
    const made: Made[] = [];
    const callers = cluster.controllers.map(async (controller, caller) => {
      for (let turn = 0; !over.signal.aborted; turn++) {
        made.push(await make(world, cluster.csi(controller), `coming-and-going-${caller}-${turn}`));
        await sleep(PAUSE_MS);
      }
    });
    for (const gone of ['node-3', 'node-1']) {
      await cluster.running.tellControllers(without(gone));
      await seen(world, volumeIds.length - 1);
      await cluster.running.tellControllers(agents);
      await seen(world, volumeIds.length);
    }
    over.abort();
    await Promise.all(callers);

    // All are told of again: what was answered is there, and what was not is not.
    const { controller, group } = cluster.csi();
    const taken = made.flatMap((each) => each.group ?? []);
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.length).toBeLessThan(made.length);
    const { entries } = await controller.ListVolumes({});
    const there = new Set(entries.map(({ volume }) => volume?.volumeId));
    for (const { volumeId } of made) expect(there).toContain(volumeId);
    for (const request of taken) {
      await group.GetVolumeGroupSnapshot(request);
      await group.DeleteVolumeGroupSnapshot(request);
    }
    for (const { volumeId } of made) await controller.DeleteVolume({ volumeId });
    await world.settled(before);
  });
});

interface Made {
  readonly volumeId: string;
  /** Absent when a member's node was not on the list: to the controller that volume was not there. */
  readonly group?: { readonly groupSnapshotId: string; readonly snapshotIds: readonly string[] };
}

/** As a sidecar makes it: it goes on until an answer is final. */
async function make(world: ClusterWorld, csi: Client, name: string): Promise<Made> {
  const wanted = {
    name,
    capacityRange: { requiredBytes: String(16 * 1024 ** 2) },
    volumeCapabilities: [mountCapability()],
  };
  const { volume } = await world.insist(() => csi.controller.CreateVolume(wanted));
  const volumeId = volume?.volumeId ?? '';
  try {
    const { groupSnapshot } = await world.insist(() => world.group(name, csi));
    const snapshotIds = groupSnapshot?.snapshots.map(({ snapshotId }) => snapshotId) ?? [];
    expect(snapshotIds).toHaveLength(3);
    return { volumeId, group: { groupSnapshotId: groupSnapshot?.groupSnapshotId ?? '', snapshotIds } };
  } catch (error) {
    if (!hasCode(error, 'not-found')) throw error;
    return { volumeId };
  }
}

type Client = ReturnType<Cluster['csi']>;

/** Resolves when every controller knows so many of the volumes that stay. */
async function seen(world: ClusterWorld, count: number): Promise<void> {
  const { cluster } = world;
  for (const name of cluster.controllers) {
    await eventually(
      `${name} has read the list`,
      async () => {
        const { entries } = await world.insist(() => cluster.csi(name).controller.ListVolumes({}));
        const nodes = new Set(entries.map(({ volume }) => volume?.volumeId.split('.').at(-1)));
        return nodes.size === count;
      },
      TOLD_MS,
    );
  }
}
