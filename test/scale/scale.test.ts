/** A controller over many nodes: who is asked, and how often, by the nodes' own count. */
import { readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TemporaryProcess } from '../../src/app/temporary/process.ts';
import { GiB } from '../../src/core/bytes.ts';
import { TOPOLOGY_KEY } from '../../src/core/names.ts';
import { persist } from '../../src/prove/csi-client.ts';
import { type Csi, connectTo, mountCapability } from '../support/csi.ts';
import { Scratch } from '../support/scratch.ts';
import { type Asked, SimulatedNodes } from '../support/simulated/nodes.ts';
import { simulatedNode, simulatedSnapshot, simulatedVolume } from '../support/simulated/pool.ts';

const NODES = 200;
const SNAPSHOTS_PER_NODE = 250;
const MEMBERS = 64;
const START_MS = 120_000;
/** Far from both ends. */
const SOME = 137;
const NODE = simulatedNode(SOME);
const VOLUME = simulatedVolume(NODE, 3);
const SNAPSHOT = simulatedSnapshot(NODE, 33);
/** More than a controller has open without a node. */
const OWN_SOCKETS = 20;
const ROUND = { Prepare: 1, Freeze: 1, Cut: 1, Commit: 1 };

const resources = new AsyncDisposableStack();
let nodes: SimulatedNodes;
let controller: TemporaryProcess;
let csi: Csi;

beforeAll(async () => {
  const { folder } = resources.use(await Scratch.open());
  nodes = resources.use(await SimulatedNodes.start({ nodes: NODES, volumes: 25, snapshotsPerVolume: 10 }));
  const list = path.join(folder, 'agents');
  await nodes.writeList(list);
  const plan = { role: 'controller', folder, flags: ['--agents-file', list, '--insecure'] } as const;
  controller = resources.use(new TemporaryProcess({ ...plan, logFile: path.join(folder, 'log') }));
  await controller.start();
  csi = resources.use(connectTo(controller.endpoint));
  await csi.ready(START_MS);
});

afterAll(() => resources.disposeAsync());

/**
 * What the nodes were asked since the last time; but for the greeting of a new connection, and for what rounds left there,
 * which the controller asks everybody now and then.
 */
async function asked(): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> {
  return ofCalls(await nodes.takeAsked());
}

function ofCalls(all: Asked): Readonly<Record<string, Readonly<Record<string, number>>>> {
  const calls = [...all].map(([node, methods]) => {
    const { Hello: _, SealedParts: __, ...others } = Object.fromEntries(methods);
    return [node, others] as const;
  });
  return Object.fromEntries(calls.filter(([, methods]) => Object.keys(methods).length > 0));
}

async function socketsOf(pid: number | undefined): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await readdir(folder)).map((fd) => readlink(path.join(folder, fd)).catch(() => '')));
  return links.filter((link) => link.startsWith('socket:')).length;
}

const newVolume = (name: string) => ({
  name,
  volumeCapabilities: [mountCapability()],
  capacityRange: { requiredBytes: String(GiB) },
});
const on = (node: string) => ({ requisite: [{ segments: { [TOPOLOGY_KEY]: node } }] });

test('nobody is connected to before somebody is asked, and then that one alone, once', async () => {
  await csi.controller.ControllerGetVolume({ volumeId: VOLUME });
  await csi.controller.ControllerGetVolume({ volumeId: VOLUME });
  const sockets = await socketsOf(controller.pid);
  const all = await nodes.takeAsked();
  expect(ofCalls(all)).toEqual({ [NODE]: { GetVolume: 2 } });
  expect(all.get(NODE)?.get('Hello')).toBe(1);
  // The one alone; unless this took so long that everybody is being asked for what rounds left.
  const others = [...all.values()].filter((methods) => methods.has('SealedParts'));
  expect(sockets).toBeLessThan(OWN_SOCKETS + others.length);
});

test.each<[string, (client: Csi) => Promise<unknown>, Readonly<Record<string, number>>]>([
  ['GetSnapshot', ({ controller: c }) => c.GetSnapshot({ snapshotId: SNAPSHOT }), { GetSnapshot: 1 }],
  ['ListSnapshots of an id', ({ controller: c }) => c.ListSnapshots({ snapshotId: SNAPSHOT }), { GetSnapshot: 1 }],
  [
    'ListSnapshots of a volume',
    ({ controller: c }) => c.ListSnapshots({ sourceVolumeId: VOLUME }),
    { ListSnapshots: 1 },
  ],
  [
    'CreateSnapshot',
    ({ controller: c }) => c.CreateSnapshot({ name: 's', sourceVolumeId: VOLUME }),
    { GetSnapshot: 1, GetVolume: 1, ...ROUND },
  ],
  [
    'DeleteSnapshot',
    ({ controller: c }) => c.DeleteSnapshot({ snapshotId: SNAPSHOT }),
    { GetSnapshot: 1, DeleteSnapshot: 1 },
  ],
  [
    'CreateVolume on a node',
    ({ controller: c }) => c.CreateVolume({ ...newVolume('v'), accessibilityRequirements: on(NODE) }),
    { GetVolume: 1, CreateVolume: 1 },
  ],
  [
    'CreateVolume from a snapshot',
    ({ controller: c }) =>
      c.CreateVolume({ ...newVolume('w'), volumeContentSource: { snapshot: { snapshotId: SNAPSHOT } } }),
    { GetVolume: 1, GetSnapshot: 1, CreateVolume: 1 },
  ],
  ['DeleteVolume', ({ controller: c }) => c.DeleteVolume({ volumeId: VOLUME }), { DeleteVolume: 1 }],
  [
    'GetCapacity of a node',
    ({ controller: c }) => c.GetCapacity({ accessibleTopology: { segments: { [TOPOLOGY_KEY]: NODE } } }),
    { Capacity: 1 },
  ],
])('%s asks the one node that it is about', async (_what, call, calls) => {
  await call(csi);
  expect(await asked()).toEqual({ [NODE]: calls });
});

test('a page asks the nodes that it is from', async () => {
  const first = await csi.controller.ListSnapshots({ maxEntries: 100 });
  expect(await asked()).toEqual({ [simulatedNode(0)]: { ListSnapshots: 1 } });
  expect(first.entries).toHaveLength(100);

  // The token of a page is an id; see volumes/page-tokens.ts.
  const startingToken = first.nextToken.replace(simulatedNode(0), NODE);
  const middle = await csi.controller.ListSnapshots({ maxEntries: 100, startingToken });
  expect(await asked()).toEqual({ [NODE]: { ListSnapshots: 1 } });
  expect(middle.entries[0]?.snapshot?.snapshotId).toBe(simulatedSnapshot(NODE, 100));

  await csi.controller.ListSnapshots({ maxEntries: 100, startingToken: middle.nextToken });
  const after = simulatedNode(SOME + 1);
  expect(await asked()).toEqual({ [NODE]: { ListSnapshots: 1 }, [after]: { ListSnapshots: 1 } });
});

test('a new volume that may be anywhere asks every node', async () => {
  // Some have to be connected to first, which may take a busy machine too long.
  await persist((options) => csi.controller.CreateVolume(newVolume('anywhere'), options));
  await nodes.takeAsked();
  const { volume } = await csi.controller.CreateVolume(newVolume('again'));
  const calls = Object.entries(await asked());
  expect(calls).toHaveLength(NODES);
  for (const [node, methods] of calls) {
    const chosen = volume?.volumeId.endsWith(`.${node}`) ?? false;
    expect(methods).toEqual({
      ClaimVolume: 1,
      ConfirmClaim: 1,
      Capacity: 1,
      ...(chosen && { CreateVolume: 1 }),
    });
  }
});

test(`a group of ${MEMBERS} members asks its nodes, and nobody else`, async () => {
  const members = Array.from({ length: MEMBERS }, (_, i) => simulatedNode(NODES - MEMBERS + i));
  const sourceVolumeIds = members.map((node) => simulatedVolume(node, 0));
  const { groupSnapshot } = await csi.group.CreateVolumeGroupSnapshot({ name: 'g', sourceVolumeIds });
  expect(groupSnapshot?.snapshots.map(({ sourceVolumeId }) => sourceVolumeId)).toEqual(sourceVolumeIds);
  const calls = { GetVolume: 1, ...ROUND };
  const [home = '', ...others] = members;
  expect(await asked()).toEqual({
    [home]: { GetGroup: 1, ...calls },
    ...Object.fromEntries(others.map((node) => [node, calls])),
  });
});

test.each([97, 1000])('a walk by pages of %d gives everything once, in order', async (maxEntries) => {
  let startingToken = '';
  let seen = 0;
  let pages = 0;
  do {
    const { entries, nextToken } = await csi.controller.ListSnapshots({ maxEntries, startingToken });
    for (const { snapshot } of entries) {
      const node = simulatedNode(Math.floor(seen / SNAPSHOTS_PER_NODE));
      if (snapshot?.snapshotId !== simulatedSnapshot(node, seen % SNAPSHOTS_PER_NODE)) {
        throw new Error(`number ${seen} is ${snapshot?.snapshotId}`);
      }
      seen++;
    }
    startingToken = nextToken;
    pages++;
  } while (startingToken !== '');
  expect(seen).toBe(NODES * SNAPSHOTS_PER_NODE);
  const requests = Object.values(await asked()).reduce((sum, { ListSnapshots = 0 }) => sum + ListSnapshots, 0);
  // A page goes on where the last one ended, on the same node.
  expect(requests).toBeLessThanOrEqual(NODES + pages);
});
