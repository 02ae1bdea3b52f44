/** What a round left is settled by the home of its group. */
import { describe, expect, test } from '@jest/globals';
import { groupId, memberSnapshotId, volumeId } from '../../../src/core/ids.ts';
import type { Decision, SealedPart } from '../../../src/core/round.ts';
import type { CutRecord } from '../../../src/core/snapshot.ts';
import { Resolver } from '../../../src/fence/resolver.ts';
import { GroupService } from '../../../src/volumes/group-service.ts';
import { FakeDirectory, noSignal } from '../support/fake-agent.ts';

const GROUP = {
  id: groupId('a', 'g'),
  name: 'g',
  volumeIds: ['a', 'b', 'c'].map((node) => volumeId(node, 'v')),
  parameters: {},
};

/** A round that is sealed on all of its nodes. */
function setUp() {
  const directory = new FakeDirectory('a', 'b', 'c');
  for (const [node, agent] of directory.agents) {
    const record: CutRecord = { token: 'round', node, group: GROUP, snapshots: [], evidence: [] };
    agent.sealed.set('round', record);
  }
  const home = directory.agent('a');
  const decide = () => home.commit('round');
  const state = () =>
    [...directory.agents.values()].map(({ sealed, records }) =>
      records.has('round') ? 'committed' : sealed.has('round') ? 'sealed' : 'gone',
    );
  return { directory, home, decide, state, resolver: new Resolver(directory) };
}

function watch() {
  const settled: [string, Decision][] = [];
  const failed: string[] = [];
  const reasons: unknown[] = [];
  return {
    settled,
    failed,
    reasons,
    observer: {
      settled: (node: string, _part: SealedPart, decision: Decision) => void settled.push([node, decision]),
      failed: (node: string, reason: unknown) => {
        failed.push(node);
        reasons.push(reason);
      },
    },
  };
}

describe('parts of a round that nobody leads', () => {
  test('go when the home has not decided', async () => {
    const { resolver, state } = setUp();
    const { settled, observer } = watch();
    await resolver.settleAll(observer, noSignal);
    expect(state()).toEqual(['gone', 'gone', 'gone']);
    expect(settled).toEqual([
      ['a', 'aborted'],
      ['b', 'aborted'],
      ['c', 'aborted'],
    ]);
  });

  test('become visible when it has', async () => {
    const { resolver, state, decide } = setUp();
    await decide();
    await resolver.settleAll(watch().observer, noSignal);
    expect(state()).toEqual(['committed', 'committed', 'committed']);
  });

  test('stay while the home is away, and while the round may still be led', async () => {
    const { resolver, state, directory, home } = setUp();
    directory.away.add('a');
    const { settled, failed, observer } = watch();
    await resolver.settleAll(observer, noSignal);
    expect(settled).toEqual([]);
    expect(failed).toEqual(['a', 'b', 'c']);
    directory.away.delete('a');
    home.led.add('round');
    await resolver.settleAll(observer, noSignal);
    expect(settled.map(([, decision]) => decision)).toEqual(['pending', 'pending', 'pending']);
    expect(state()).toEqual(['sealed', 'sealed', 'sealed']);
  });
});

test('a part whose home has left the list of nodes stays, and it is said how it can be deleted', async () => {
  const { resolver, state, directory } = setUp();
  directory.gone.add('a');
  const { settled, failed, reasons, observer } = watch();
  await resolver.settleAll(observer, noSignal);
  expect(settled).toEqual([]);
  expect(failed).toEqual(['b', 'c']);
  // Not `unavailable`, which is nothing to warn of.
  const snapshotIds = GROUP.volumeIds.map((volume, i) => memberSnapshotId('abc'.charAt(i), 'g', volume));
  const told = { code: 'failed-precondition', message: expect.stringContaining(snapshotIds.join(', ')) };
  expect(reasons).toMatchObject([told, told]);
  expect(state()).toEqual(['sealed', 'sealed', 'sealed']);
  const groups = new GroupService(directory, { run: () => Promise.reject(new Error('no round')) });
  await groups.delete({ id: GROUP.id, snapshotIds }, noSignal);
  expect(state()).toEqual(['sealed', 'gone', 'gone']);
});

describe('before a new round of the group', () => {
  test('what earlier ones left is settled, of that group alone', async () => {
    const { resolver, state } = setUp();
    await resolver.settleGroup(groupId('a', 'other'), ['a', 'b', 'c'], noSignal);
    expect(state()).toEqual(['sealed', 'sealed', 'sealed']);
    await resolver.settleGroup(GROUP.id, ['a', 'b', 'c'], noSignal);
    expect(state()).toEqual(['gone', 'gone', 'gone']);
  });

  test('one that may still be led keeps it from beginning', async () => {
    const { resolver, home } = setUp();
    home.led.add('round');
    await expect(resolver.settleGroup(GROUP.id, ['b'], noSignal)).rejects.toMatchObject({ code: 'aborted' });
  });

  test('so does a node that is away', async () => {
    const { resolver, directory } = setUp();
    directory.away.add('b');
    await expect(resolver.settleGroup(GROUP.id, ['b'], noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
