/** A call about things on some nodes costs nothing for the others: it neither asks them nor looks through their names. */
import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { groupId, memberSnapshotId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { RoundCoordinator } from '../../../src/fence/coordinator.ts';
import { GroupService } from '../../../src/volumes/group-service.ts';
import { ASKED_AT_A_TIME, askNodes } from '../../../src/volumes/nodes.ts';
import { SnapshotService } from '../../../src/volumes/snapshot-service.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { type FakeAgent, FakeDirectory, noSignal } from '../support/fake-agent.ts';
import { UNOBSERVED } from '../support/fake-agents.ts';

const ANYWHERE = { requisite: [], preferred: [] };
const ON_B = { requisite: ['b'], preferred: ['b'] };
const SOURCE = volumeId('b', 'source');
const OTHER = volumeId('c', 'other');
const SNAPSHOT = snapshotId('b', 's');
const MEMBERS = [memberSnapshotId('b', 'g', SOURCE), memberSnapshotId('c', 'g', OTHER)];
const GROUP = { id: groupId('b', 'g'), snapshotIds: MEMBERS };
const PAGE = { startingToken: '', maxEntries: 10 };
const named = (name: string) => ({ name, range: {}, placement: ANYWHERE, parameters: {} });

/** A directory that is not to be read through; it notes who is asked. */
class RoutingDirectory extends FakeDirectory {
  readonly asked = new Set<string>();
  strict = false;

  override agent(node: string): FakeAgent {
    this.asked.add(node);
    return super.agent(node);
  }

  override nodes(): readonly string[] {
    if (this.strict) throw new Error('looks at all nodes');
    return super.nodes();
  }
}

async function setUp() {
  const directory = new RoutingDirectory('a', 'b', 'c', 'd');
  const rounds = new RoundCoordinator(directory, 1000, UNOBSERVED);
  const volumes = new VolumeService(directory);
  const snapshots = new SnapshotService(directory, rounds);
  const groups = new GroupService(directory, rounds);
  for (const [name, node] of [
    ['source', 'b'],
    ['other', 'c'],
  ] as const) {
    await volumes.create({ ...named(name), placement: { requisite: [node], preferred: [] } }, noSignal);
  }
  await snapshots.create({ name: 's', sourceVolumeId: SOURCE, placement: ANYWHERE, parameters: {} }, noSignal);
  const group = { name: 'g', volumeIds: [SOURCE, OTHER], parameters: {}, fenced: true, barrier: true };
  await groups.create(group, noSignal);
  directory.asked.clear();
  directory.strict = true;
  return { directory, volumes, snapshots, groups, group };
}

type World = Awaited<ReturnType<typeof setUp>>;

const CALLS: readonly [string, readonly string[], (world: World) => Promise<unknown>][] = [
  ['a volume', ['b'], ({ volumes }) => volumes.get(SOURCE, noSignal)],
  ['a volume to delete', ['b'], ({ volumes }) => volumes.delete(SOURCE, noSignal)],
  ['a volume to expand', ['b'], ({ volumes }) => volumes.expand(SOURCE, {}, noSignal)],
  ['room on a node', ['b'], ({ volumes }) => volumes.capacity('b', noSignal)],
  ['room on no node', [], ({ volumes }) => volumes.capacity('x', noSignal)],
  ['a new volume on a node', ['b'], ({ volumes }) => volumes.create({ ...named('new'), placement: ON_B }, noSignal)],
  [
    'a restore',
    ['b'],
    ({ volumes }) => volumes.create({ ...named('copy'), source: { kind: 'snapshot', id: SNAPSHOT } }, noSignal),
  ],
  [
    'a clone',
    ['b'],
    ({ volumes }) => volumes.create({ ...named('copy'), source: { kind: 'volume', id: SOURCE } }, noSignal),
  ],
  ['a snapshot', ['b'], ({ snapshots }) => snapshots.get(SNAPSHOT, noSignal)],
  ['a snapshot to delete', ['b'], ({ snapshots }) => snapshots.delete(SNAPSHOT, noSignal)],
  [
    'a new snapshot',
    ['b'],
    ({ snapshots }) =>
      snapshots.create({ name: 'new', sourceVolumeId: SOURCE, placement: ANYWHERE, parameters: {} }, noSignal),
  ],
  ['a snapshot, listed', ['b'], ({ snapshots }) => snapshots.list({ ...PAGE, snapshotId: SNAPSHOT }, noSignal)],
  ["a volume's snapshots", ['b'], ({ snapshots }) => snapshots.list({ ...PAGE, sourceVolumeId: SOURCE }, noSignal)],
  ['a new group', ['b', 'c'], ({ groups, group }) => groups.create({ ...group, name: 'new' }, noSignal)],
  ['a group again', ['b', 'c'], ({ groups, group }) => groups.create(group, noSignal)],
  ['a group', ['b', 'c'], ({ groups }) => groups.get(GROUP, noSignal)],
  ['a group to delete', ['b', 'c'], ({ groups }) => groups.delete(GROUP, noSignal)],
];

test.each(CALLS)('%s: %j', async (_what, nodes, call) => {
  const world = await setUp();
  await call(world);
  expect(world.directory.asked).toEqual(new Set(nodes));
});

test('who may be anywhere is looked for on all nodes, some at a time', async () => {
  const names = Array.from({ length: 3 * ASKED_AT_A_TIME }, (_, i) => `n${i}`);
  const directory = new FakeDirectory(...names);
  let underWay = 0;
  let most = 0;
  const { found, away } = await askNodes(directory, names, async ({ node }) => {
    most = Math.max(most, ++underWay);
    await setImmediate();
    underWay--;
    if (node === 'n7') throw new DriverError('unavailable', 'away');
    return node;
  });
  expect(most).toBe(ASKED_AT_A_TIME);
  expect(found).toEqual(names.filter((name) => name !== 'n7'));
  expect([...away.keys()]).toEqual(['n7']);
});

test('pages are taken from the nodes that they are on', async () => {
  const { directory, snapshots } = await setUp();
  directory.strict = false;
  const first = await snapshots.list({ startingToken: '', maxEntries: 1 }, noSignal);
  expect([...directory.asked]).toEqual(['a', 'b']);
  directory.asked.clear();
  await snapshots.list({ startingToken: first.nextToken, maxEntries: 1 }, noSignal);
  expect([...directory.asked]).toEqual(['b']);
});
