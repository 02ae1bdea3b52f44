import { expect, test } from '@jest/globals';
import { MAX_NODE_NAME_LENGTH, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { RoundCoordinator } from '../../../src/fence/coordinator.ts';
import { decodeToken, encodeToken } from '../../../src/volumes/page-tokens.ts';
import type { ListSnapshotsRequest } from '../../../src/volumes/requests.ts';
import { SnapshotService } from '../../../src/volumes/snapshot-service.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { FakeDirectory, noSignal } from '../support/fake-agent.ts';
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

function compare(a: string, b: string): number {
  return a < b ? -1 : 1;
}
