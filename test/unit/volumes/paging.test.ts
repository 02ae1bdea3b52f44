import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { groupId, MAX_NODE_NAME_LENGTH, snapshotId, volumeId } from '../../../src/core/ids.ts';
import type { Snapshot } from '../../../src/core/snapshot.ts';
import type { Volume } from '../../../src/core/volume.ts';
import { renderSnapshot } from '../../../src/csi/render/snapshot.ts';
import { RoundCoordinator } from '../../../src/fence/coordinator.ts';
import { loadProto } from '../../../src/rpc/proto.ts';
import { MAX_PAGE_ENTRIES } from '../../../src/volumes/list-pages.ts';
import { ASKED_AT_A_TIME } from '../../../src/volumes/nodes.ts';
import { decodeToken, encodeToken } from '../../../src/volumes/page-tokens.ts';
import type { ListSnapshotsRequest } from '../../../src/volumes/requests.ts';
import { SnapshotService } from '../../../src/volumes/snapshot-service.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { type FakeAgent, FakeDirectory, noSignal } from '../support/fake-agent.ts';
import { UNOBSERVED } from '../support/fake-agents.ts';

async function setUp(count: number, ...nodes: string[]) {
  const directory = new FakeDirectory(...nodes);
  const volumes = new VolumeService(directory);
  const make = async (name: string, node: string) => {
    const placement = { requisite: [node], preferred: [] };
    return (await volumes.create({ name, range: { requiredBytes: 1n }, placement, parameters: {} }, noSignal)).id;
  };
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push(await make(`v${i}`, nodes[i % nodes.length] ?? ''));
  return { directory, volumes, make, ids };
}

async function walk(volumes: VolumeService, maxEntries: number, between: () => Promise<void> = async () => undefined) {
  const seen: string[] = [];
  let startingToken = '';
  let pages = 0;
  do {
    expect(++pages).toBeLessThan(200);
    const { items, nextToken } = await volumes.list({ startingToken, maxEntries }, noSignal);
    if (maxEntries > 0) expect(items.length).toBeLessThanOrEqual(maxEntries);
    seen.push(...items.map(({ id }) => id));
    startingToken = nextToken;
    await between();
  } while (startingToken !== '');
  return seen;
}

test.each([0, 1, 2, 3, 7, 20, 21, 100])('pages of %d give everything once, over nodes', async (maxEntries) => {
  const { volumes, ids } = await setUp(21, 'b', 'a', 'c');
  expect((await walk(volumes, maxEntries)).toSorted(compare)).toEqual(ids.toSorted(compare));
});

test('a page of two, then all the rest', async () => {
  const { volumes, ids } = await setUp(5, 'a');
  const first = await volumes.list({ startingToken: '', maxEntries: 2 }, noSignal);
  expect(first.items).toHaveLength(2);
  const rest = await volumes.list({ startingToken: first.nextToken, maxEntries: 0 }, noSignal);
  expect(rest.nextToken).toBe('');
  expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(ids.toSorted(compare));
});

test('what stays is seen exactly once while other things come and go, also what a token stands on', async () => {
  const { volumes, make, ids } = await setUp(30, 'a', 'b');
  const doomed = ids.filter((_, i) => i % 3 === 0);
  let round = 0;
  const seen = await walk(volumes, 4, async () => {
    await make(`new${round}`, 'a');
    for (const id of doomed.splice(0, 2)) await volumes.delete(id, noSignal);
    round++;
  });
  const staying = ids.filter((_, i) => i % 3 !== 0);
  for (const id of staying) expect(seen.filter((each) => each === id)).toHaveLength(1);
  const all = await walk(volumes, 0);
  const first = await volumes.list({ startingToken: '', maxEntries: 3 }, noSignal);
  for (const { id } of first.items) await volumes.delete(id, noSignal);
  const second = await volumes.list({ startingToken: first.nextToken, maxEntries: 3 }, noSignal);
  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(all.slice(0, 6));
});

test('a page costs its own length', async () => {
  const { volumes, directory } = await setUp(50, 'a');
  await volumes.list({ startingToken: '', maxEntries: 5 }, noSignal);
  expect(directory.agent('a').itemsRead).toBe(5);
});

test('a node that is away fails the list: holes would be read as deletions', async () => {
  const { volumes, directory } = await setUp(4, 'a', 'b');
  directory.away.add('b');
  await expect(volumes.list({ startingToken: '', maxEntries: 0 }, noSignal)).rejects.toMatchObject({
    code: 'unavailable',
  });
});

describe('many nodes with few entries', () => {
  const names = Array.from({ length: 500 }, (_, i) => `n${String(i).padStart(3, '0')}`);

  /** Volumes on some of the nodes; every call takes a turn of the event loop. */
  function spread(...nodes: readonly string[]) {
    const directory = new FakeDirectory(...names);
    for (const node of nodes) {
      put(directory.agent(node), 'v');
    }
    const seen = { trips: 0, underWay: 0, most: 0, asked: 0 };
    for (const agent of directory.agents.values()) {
      const list = agent.listVolumes.bind(agent);
      agent.listVolumes = async (page) => {
        seen.asked++;
        if (seen.underWay++ === 0) seen.trips++;
        seen.most = Math.max(seen.most, seen.underWay);
        await setImmediate();
        seen.underWay--;
        return await list(page);
      };
    }
    return { directory, seen, volumes: new VolumeService(directory) };
  }

  test.each([
    ['none', []],
    ['one, on the last', names.slice(-1)],
    ['one on every tenth', names.filter((_, i) => i % 10 === 0)],
    ['one on each', names],
  ])('a page is read in few round trips, each of a bounded number of calls: %s', async (_what, nodes) => {
    const { volumes, seen } = spread(...nodes);
    const { items, nextToken } = await volumes.list({ startingToken: '', maxEntries: 1000 }, noSignal);
    expect(items.map(({ node }) => node)).toEqual(nodes);
    expect(nextToken).toBe('');
    expect(seen.asked).toBe(names.length);
    expect(seen.trips).toBeLessThan(20);
    expect(seen.most).toBeLessThanOrEqual(ASKED_AT_A_TIME);
  });

  test('the pages of a walk give everything once, in order', async () => {
    const nodes = names.filter((_, i) => i % 7 === 0 || i > 450);
    const { volumes } = spread(...nodes);
    expect(await walk(volumes, 10)).toEqual(nodes.map((node) => volumeId(node, 'v')));
  });

  test('a node that is asked ahead and away matters to the page that needs it alone', async () => {
    const { directory, volumes } = spread('n008', 'n009', 'n020');
    // Together with n008.
    directory.away.add('n012');
    const first = await volumes.list({ startingToken: '', maxEntries: 2 }, noSignal);
    expect(first.items.map(({ node }) => node)).toEqual(['n008', 'n009']);
    const second = volumes.list({ startingToken: first.nextToken, maxEntries: 2 }, noSignal);
    await expect(second).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a node that is asked ahead and hangs keeps nobody waiting, and is not asked any longer', async () => {
    const { directory, volumes } = spread('n008', 'n009', 'n020');
    const asked: AbortSignal[] = [];
    directory.agent('n012').listVolumes = async (_page, signal?: AbortSignal) => {
      if (signal) asked.push(signal);
      return await new Promise<never>(() => undefined);
    };
    const { items } = await volumes.list({ startingToken: '', maxEntries: 2 }, noSignal);
    expect(items).toHaveLength(2);
    expect(asked.map(({ aborted }) => aborted)).toEqual([true]);
  });
});

describe('the longest page', () => {
  test.each([0, MAX_PAGE_ENTRIES + 1, 2 ** 31 - 1])('is the same when %d entries are asked for', async (maxEntries) => {
    const directory = new FakeDirectory('a', 'b');
    for (const node of ['a', 'b']) {
      for (let i = 0; i < MAX_PAGE_ENTRIES - 1; i++) {
        put(directory.agent(node), `v${i}`);
      }
    }
    const volumes = new VolumeService(directory);
    const first = await volumes.list({ startingToken: '', maxEntries }, noSignal);
    expect(first.items).toHaveLength(MAX_PAGE_ENTRIES);
    const second = await volumes.list({ startingToken: first.nextToken, maxEntries }, noSignal);
    expect(second.items).toHaveLength(MAX_PAGE_ENTRIES - 2);
    expect(second.nextToken).toBe('');
  });

  test('fits in an answer that any gRPC client takes', () => {
    const node = 'n'.repeat(MAX_NODE_NAME_LENGTH);
    const snapshot: Snapshot = {
      id: snapshotId(node, 's'),
      name: 's',
      node,
      sourceVolumeId: volumeId(node, 'v'),
      sizeBytes: 2n ** 63n - 1n,
      heldBytes: 0n,
      content: { kind: 'raw' },
      createdAt: 1_763_800_000_123,
      groupId: groupId(node, 'g'),
    };
    const entry = { snapshot: renderSnapshot(snapshot, { snapshotTopology: true }) };
    const response = loadProto('csi-proto/csi.proto').service('csi.v1.Controller').ListSnapshots?.responseSerialize;
    const bytes = response?.({ entries: Array.from({ length: MAX_PAGE_ENTRIES }, () => entry) }).length;
    expect(bytes).toBeLessThan(4 * 1024 * 1024);
  });
});

test('a token is no longer than the 128 bytes of the specification, for any node name', () => {
  const node = 'n'.repeat(MAX_NODE_NAME_LENGTH);
  for (const [kind, id] of [
    ['volume', volumeId(node, 'x')],
    ['snapshot', snapshotId(node, 'x')],
  ] as const) {
    const token = encodeToken(kind, id);
    expect(Buffer.byteLength(token)).toBeLessThanOrEqual(128);
    expect(decodeToken(kind, token)).toBe(id);
  }
});

test.each([
  'x',
  'v1v.',
  '0',
  'invalid-token',
  volumeId('a', 'x'),
  encodeToken('snapshot', snapshotId('a', 'x')),
  `${encodeToken('volume', volumeId('a', 'x'))}/`,
  encodeToken('volume', volumeId('a', 'x')).replace('v1v', 'v2v'),
  'v1v.\0',
  'é'.repeat(5000),
])('an invalid token is aborted: %j', async (startingToken) => {
  const { volumes } = await setUp(1, 'a');
  await expect(volumes.list({ startingToken, maxEntries: 0 }, noSignal)).rejects.toMatchObject({
    code: 'aborted',
    message: expect.stringMatching(/^starting_token: /),
  });
});

test('snapshots: by id, by volume, by both, by what there is not', async () => {
  const { directory, ids } = await setUp(2, 'a');
  const [v1 = '', v2 = ''] = ids;
  const snapshots = new SnapshotService(directory, new RoundCoordinator(directory, 1000, UNOBSERVED));
  for (const [name, sourceVolumeId] of [
    ['s1', v1],
    ['s2', v1],
    ['s3', v2],
  ] as const) {
    const placement = { requisite: [], preferred: [] };
    await snapshots.create({ name, sourceVolumeId, placement, parameters: {} }, noSignal);
  }
  const list = async (filter: Partial<ListSnapshotsRequest>) => {
    const { items } = await snapshots.list({ startingToken: '', maxEntries: 0, ...filter }, noSignal);
    return items.map(({ name }) => name).toSorted(compare);
  };
  const s1 = snapshotId('a', 's1');
  expect(await list({})).toEqual(['s1', 's2', 's3']);
  expect(await list({ sourceVolumeId: v1 })).toEqual(['s1', 's2']);
  expect(await list({ snapshotId: s1 })).toEqual(['s1']);
  expect(await list({ snapshotId: s1, sourceVolumeId: v1 })).toEqual(['s1']);
  expect(await list({ snapshotId: s1, sourceVolumeId: v2 })).toEqual([]);
  for (const unknown of ['none', volumeId('a', 'none'), volumeId('nowhere', 'v')]) {
    expect(await list({ sourceVolumeId: unknown })).toEqual([]);
    expect(await list({ snapshotId: unknown })).toEqual([]);
  }
  await expect(list({ snapshotId: s1, startingToken: 'x' })).rejects.toMatchObject({ code: 'aborted' });
  await expect(list({ sourceVolumeId: 'none', startingToken: 'x' })).rejects.toMatchObject({ code: 'aborted' });
});

function put({ node, volumes }: FakeAgent, name: string): void {
  const id = volumeId(node, name);
  const volume: Volume = { id, name, node, capacityBytes: 1n, content: { kind: 'raw' }, parameters: {}, createdAt: 1 };
  volumes.set(id, volume);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : 1;
}
