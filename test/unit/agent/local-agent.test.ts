/** Whatever changes a volume of a node takes the node's locks, from whichever side it comes. */
import { describe, expect, test } from '@jest/globals';
import { LocalAgent } from '../../../src/agent/local-agent.ts';
import type { Backend } from '../../../src/core/backend.ts';
import { MiB } from '../../../src/core/bytes.ts';
import { DriverError } from '../../../src/core/errors.ts';
import { groupId, lockKeysOf, memberSnapshotId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { KeyedLocks } from '../../../src/core/locks.ts';
import type { Volume, VolumeSpec } from '../../../src/core/volume.ts';
import type { NodeFence } from '../../../src/fence/node-fence.ts';
import type { NodeRounds } from '../../../src/fence/node-round.ts';
import { QuietCopies } from '../../../src/fence/quiet-copy.ts';
import { noSignal } from '../support/fake-agent.ts';

const healthOf = async () => [];
const V = volumeId('a', 'v');
const COPY = volumeId('a', 'copy');
const S = snapshotId('a', 's');
const G = groupId('a', 'g');
const M = memberSnapshotId('a', 'g', V);
const of = (id: string, source?: { readonly kind: 'volume' | 'snapshot'; readonly id: string }) => ({
  id,
  name: 'n',
  capacityBytes: MiB,
  parameters: {},
  ...(source && { source }),
});

/** A pool in which every change notes which of the locks are held while it works. */
function setUp() {
  const locks = new KeyedLocks();
  const seen: number[] = [];
  const change = async () => void seen.push(locks.size);
  const backend = {
    createVolume: change,
    getVolume: async () => undefined,
    deleteVolume: change,
    expandVolume: change,
    deleteSnapshot: change,
    deleteGroup: change,
    getGroup: async () => ({ snapshots: [{ id: M }] }),
  } as unknown as Backend;
  const copies = { whileQuiet: (_id: string, work: () => Promise<unknown>) => work() } as unknown as QuietCopies;
  const agent = new LocalAgent({ node: 'a', backend, rounds: {} as NodeRounds, copies, locks, healthOf });
  return { agent, locks, seen };
}

const CHANGES: readonly [string, (agent: LocalAgent) => Promise<unknown>, readonly string[]][] = [
  ['createVolume', (agent) => agent.createVolume(of(V), noSignal), [V]],
  ['a clone', (agent) => agent.createVolume(of(COPY, { kind: 'volume', id: V }), noSignal), [V, COPY]],
  ['deleteVolume', (agent) => agent.deleteVolume(V), [V]],
  ['expandVolume', (agent) => agent.expandVolume(V, MiB, noSignal), [V]],
  ['deleteSnapshot', (agent) => agent.deleteSnapshot(S), [S]],
  ['deleteGroup', (agent) => agent.deleteGroup(G), [G, M]],
];

test.each(CHANGES)('%s holds its locks while it works, and is refused while another does', async (_, call, ids) => {
  const { agent, locks, seen } = setUp();
  await call(agent);
  expect(seen).toEqual([ids.length]);
  expect(locks.size).toBe(0);
  for (const id of ids) {
    using _held = locks.acquire('NodeStageVolume', { exclusive: lockKeysOf(id) });
    await expect(call(agent)).rejects.toMatchObject({ code: 'aborted', message: expect.stringContaining('NodeStage') });
  }
  expect(seen).toHaveLength(1);
});

test('restores share their snapshot, and keep it from being deleted', async () => {
  const { agent, locks } = setUp();
  using _other = locks.acquire('another restore', { exclusive: [], shared: lockKeysOf(S) });
  await agent.createVolume(of(COPY, { kind: 'snapshot', id: S }), noSignal);
  await expect(agent.deleteSnapshot(S)).rejects.toMatchObject({ code: 'aborted' });
});

test('a volume is claimed by many at a time, and by nobody while it is being changed', async () => {
  const { agent, locks } = setUp();
  {
    using _held = locks.acquire('another', { exclusive: lockKeysOf(V) });
    await expect(agent.claimVolume(V, 'first')).rejects.toMatchObject({ code: 'aborted' });
  }
  expect(await Promise.all([agent.claimVolume(V, 'first'), agent.claimVolume(V, 'last')])).toEqual([
    undefined,
    undefined,
  ]);
  await expect(agent.confirmClaim(V, 'first')).rejects.toMatchObject({ code: 'aborted' });
  await expect(agent.createVolume({ ...of(V), claim: 'first' }, noSignal)).rejects.toMatchObject({ code: 'aborted' });
  await agent.confirmClaim(V, 'last');
  await agent.createVolume({ ...of(V), claim: 'last' }, noSignal);
});

test('a look at volumes that never ends keeps its caller no longer than that waits', async () => {
  const backend = { listVolumes: async () => ({ items: [of(V)] }) } as unknown as Backend;
  const parts = { rounds: {} as NodeRounds, copies: {} as QuietCopies, locks: new KeyedLocks() };
  const hung = async () => await new Promise<never>(() => undefined);
  const agent = new LocalAgent({ node: 'a', backend, ...parts, healthOf: hung });
  for (const filter of [{}, { volumeId: V }]) {
    const caller = new AbortController();
    const looking = agent.listUnhealthy(filter, {}, caller.signal);
    caller.abort(new DriverError('deadline-exceeded', 'too late'));
    await expect(looking).rejects.toMatchObject({ code: 'deadline-exceeded' });
    // Nor is one begun whose failure nobody would hear of.
    await expect(agent.listUnhealthy(filter, {}, caller.signal)).rejects.toMatchObject({ code: 'deadline-exceeded' });
  }
});

describe('a clone', () => {
  const CLONE = of(COPY, { kind: 'volume', id: V });

  /** A node whose volumes are all in use. */
  function cloning(end: () => Promise<{ readonly held: boolean }>, ...there: readonly string[]) {
    const volumes = new Map(there.map((id) => [id, { ...of(id), node: 'a' } as Volume]));
    const calls: string[] = [];
    const backend = {
      copiesStopped: true,
      getVolume: async (id: string) => volumes.get(id),
      createVolume: async (spec: VolumeSpec) => {
        const volume = volumes.get(spec.id) ?? ({ ...spec, node: 'a' } as Volume);
        volumes.set(spec.id, volume);
        return volume;
      },
      deleteVolume: async (id: string) => void volumes.delete(id),
      fenceTargets: async () => [{ kind: 'fenced', layers: [] }],
      assertCutWithin: async () => undefined,
    } as unknown as Backend;
    const session = { freeze: async () => void calls.push('freeze'), end };
    const fence = { prepare: async () => session } as unknown as NodeFence;
    const copies = new QuietCopies(backend, fence, 1000, 1000);
    const locks = new KeyedLocks();
    const agent = new LocalAgent({ node: 'a', backend, rounds: {} as NodeRounds, copies, locks, healthOf });
    return { agent, volumes, calls };
  }

  const broken = async (): Promise<never> => {
    throw new DriverError('internal', 'could not thaw');
  };

  test('stays when its source was quiet until it was made', async () => {
    const { agent, volumes, calls } = cloning(async () => ({ held: true }), V);
    expect(await agent.createVolume(CLONE, noSignal)).toMatchObject({ id: COPY });
    expect(calls).toEqual(['freeze']);
    expect(volumes.has(COPY)).toBe(true);
  });

  test.each([
    ['was not', async () => ({ held: false }), 'aborted'],
    ['may not have been', broken, 'internal'],
  ])('is deleted when its source %s', async (_what, end, code) => {
    const { agent, volumes } = cloning(end, V);
    await expect(agent.createVolume(CLONE, noSignal)).rejects.toMatchObject({ code });
    expect([...volumes.keys()]).toEqual([V]);
  });

  test('that was there before is the answer: nothing is frozen for it, and nothing is undone', async () => {
    const { agent, volumes, calls } = cloning(async () => ({ held: false }), V, COPY);
    expect(await agent.createVolume(CLONE, noSignal)).toBe(volumes.get(COPY));
    expect(calls).toEqual([]);
    expect(volumes.has(COPY)).toBe(true);
  });
});
