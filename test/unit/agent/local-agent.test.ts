/** Whatever changes a volume of a node takes the node's locks, from whichever side it comes. */
import { expect, test } from '@jest/globals';
import { LocalAgent } from '../../../src/agent/local-agent.ts';
import type { Backend } from '../../../src/core/backend.ts';
import { MiB } from '../../../src/core/bytes.ts';
import { groupId, lockKeysOf, memberSnapshotId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { KeyedLocks } from '../../../src/core/locks.ts';
import type { NodeRounds } from '../../../src/fence/node-round.ts';
import type { QuietCopies } from '../../../src/fence/quiet-copy.ts';
import { noSignal } from '../support/fake-agent.ts';

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
    deleteVolume: change,
    expandVolume: change,
    deleteSnapshot: change,
    deleteGroup: change,
    getGroup: async () => ({ snapshots: [{ id: M }] }),
  } as unknown as Backend;
  const copies = { whileQuiet: (_id: string, work: () => Promise<unknown>) => work() } as unknown as QuietCopies;
  const agent = new LocalAgent({ node: 'a', backend, rounds: {} as NodeRounds, copies, locks });
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
