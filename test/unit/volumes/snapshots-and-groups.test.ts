import { describe, expect, test } from '@jest/globals';
import { groupId, memberSnapshotId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import type { RoundMember } from '../../../src/core/round.ts';
import { RoundCoordinator } from '../../../src/fence/coordinator.ts';
import type { RoundRequest } from '../../../src/fence/led-round.ts';
import { GroupService } from '../../../src/volumes/group-service.ts';
import type { CreateGroupRequest } from '../../../src/volumes/requests.ts';
import { SnapshotService } from '../../../src/volumes/snapshot-service.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { FakeDirectory, noSignal } from '../support/fake-agent.ts';
import { UNOBSERVED } from '../support/fake-agents.ts';

const ANYWHERE = { requisite: [], preferred: [] };

function setUp(...nodes: string[]) {
  const directory = new FakeDirectory(...(nodes.length > 0 ? nodes : ['a']));
  const coordinator = new RoundCoordinator(directory, 1000, UNOBSERVED);
  const runs: RoundRequest[] = [];
  const rounds = {
    run: (request: RoundRequest, signal: AbortSignal) => {
      runs.push(request);
      return coordinator.run(request, signal);
    },
  };
  const volumes = new VolumeService(directory);
  const makeVolume = async (name: string, node = 'a') => {
    const placement = { requisite: [node], preferred: [] };
    return (await volumes.create({ name, range: {}, placement, parameters: {} }, noSignal)).id;
  };
  return {
    directory,
    runs,
    volumes,
    makeVolume,
    snapshots: new SnapshotService(directory, rounds),
    groups: new GroupService(directory, rounds),
  };
}

describe('snapshots', () => {
  test('ladder: made once, the same again, another source, a source that is not', async () => {
    const { snapshots, volumes, makeVolume, runs } = setUp();
    const [v1, v2] = [await makeVolume('v1'), await makeVolume('v2')];
    const request = { name: 's', sourceVolumeId: v1, placement: ANYWHERE, parameters: {} };
    const first = await snapshots.create(request, noSignal);
    expect(first).toMatchObject({ id: snapshotId('a', 's'), sourceVolumeId: v1 });
    await volumes.delete(v1, noSignal);
    expect(await snapshots.create(request, noSignal)).toEqual(first);
    expect(runs).toEqual([{ name: 's', members: [{ volumeId: v1, snapshotId: first.id }], fenced: true }]);
    await expect(snapshots.create({ ...request, sourceVolumeId: v2 }, noSignal)).rejects.toMatchObject({
      code: 'already-exists',
    });
    for (const sourceVolumeId of ['foreign', volumeId('a', 'none'), volumeId('nowhere', 'v1'), first.id]) {
      await expect(snapshots.create({ ...request, name: 't', sourceVolumeId }, noSignal)).rejects.toMatchObject({
        code: 'not-found',
      });
    }
  });

  test('only the node of the source is asked: a node that is away does not matter, nor the name there', async () => {
    const { snapshots, makeVolume, directory } = setUp('a', 'b');
    const [v1, v2] = [await makeVolume('v1', 'a'), await makeVolume('v2', 'b')];
    const request = { name: 's', placement: ANYWHERE, parameters: {} };
    const onB = await snapshots.create({ ...request, sourceVolumeId: v2 }, noSignal);
    directory.away.add('b');
    const onA = await snapshots.create({ ...request, sourceVolumeId: v1 }, noSignal);
    expect([onA.id, onB.id]).toEqual([snapshotId('a', 's'), snapshotId('b', 's')]);
  });

  test('usable only where its volume is', async () => {
    const { snapshots, makeVolume } = setUp('a', 'b');
    const request = { name: 's', sourceVolumeId: await makeVolume('v'), parameters: {} };
    const onB = { requisite: ['b'], preferred: [] };
    await expect(snapshots.create({ ...request, placement: onB }, noSignal)).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
    await snapshots.create({ ...request, placement: { requisite: ['b', 'a'], preferred: [] } }, noSignal);
  });

  test('delete: unknown ids succeed, a member of a group is refused', async () => {
    const { snapshots, groups, makeVolume } = setUp();
    const v = await makeVolume('v');
    const { id } = await snapshots.create(
      { name: 's', sourceVolumeId: v, placement: ANYWHERE, parameters: {} },
      noSignal,
    );
    const group = await groups.create(
      { name: 'g', volumeIds: [v], parameters: {}, fenced: true, barrier: true },
      noSignal,
    );
    for (const unknown of ['foreign', v, snapshotId('a', 'none'), snapshotId('nowhere', 's')]) {
      await snapshots.delete(unknown, noSignal);
    }
    await expect(snapshots.delete(group.snapshots[0]?.id ?? '', noSignal)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/^snapshot_id: .*group-/),
    });
    await snapshots.delete(id, noSignal);
    await snapshots.delete(id, noSignal);
    await expect(snapshots.get(id, noSignal)).rejects.toMatchObject({ code: 'not-found' });
    expect(await snapshots.get(group.snapshots[0]?.id ?? '', noSignal)).toMatchObject({ groupId: group.id });
  });
});

test('what can not be found is deleted all the same: its node may not have finished that', async () => {
  const { directory, snapshots, groups } = setUp('a', 'b');
  await snapshots.delete(snapshotId('a', 's'), noSignal);
  await groups.delete({ id: groupId('b', 'g'), snapshotIds: [] }, noSignal);
  expect(directory.agent('a').calls).toEqual([`delete ${snapshotId('a', 's')}`]);
  expect(directory.agent('b').calls).toEqual([`delete ${groupId('b', 'g')}`]);
});

describe('groups', () => {
  const ask = (volumeIds: readonly string[], rest: Partial<CreateGroupRequest> = {}): CreateGroupRequest => ({
    name: 'g',
    volumeIds,
    parameters: {},
    fenced: true,
    barrier: true,
    ...rest,
  });

  test('ladder: made once in the order of the call, the same set again, other members, other parameters', async () => {
    const { groups, makeVolume, runs } = setUp('a', 'b');
    const ids = [await makeVolume('v1', 'b'), await makeVolume('v2', 'a'), await makeVolume('v3', 'a')];
    const made = await groups.create(ask(ids), noSignal);
    expect(made.id).toBe(groupId('a', 'g'));
    expect(made.snapshots.map(({ sourceVolumeId }) => sourceVolumeId)).toEqual(
      ids.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    expect(runs[0]?.members.map(({ volumeId: id }: RoundMember) => id)).toEqual(ids);
    expect(
      await groups.create(ask(ids.toReversed(), { parameters: { 'csi.storage.k8s.io/x': '1' } }), noSignal),
    ).toEqual(made);
    expect(runs).toHaveLength(1);
    for (const other of [ids.slice(1), [...ids, 'foreign'], [...ids.slice(1), await makeVolume('v4')]]) {
      await expect(groups.create(ask(other), noSignal)).rejects.toMatchObject({ code: 'already-exists' });
    }
    await expect(groups.create(ask(ids, { parameters: { p: '1' } }), noSignal)).rejects.toMatchObject({
      code: 'already-exists',
    });
  });

  test.each(['foreign', volumeId('a', 'none'), volumeId('nowhere', 'v')])(
    'a volume that is not is named: %s',
    async (missing) => {
      const { groups, makeVolume, runs } = setUp();
      const v = await makeVolume('v');
      await expect(groups.create(ask([v, missing]), noSignal)).rejects.toMatchObject({
        code: 'not-found',
        message: expect.stringContaining(missing),
      });
      expect(runs).toHaveLength(0);
    },
  );

  test('get and delete: unknown ids, ids that are not the members, the right ones', async () => {
    const { groups, makeVolume } = setUp();
    const made = await groups.create(ask([await makeVolume('v1'), await makeVolume('v2')]), noSignal);
    const { id } = made;
    const snapshotIds = made.snapshots.map((snapshot) => snapshot.id);
    for (const unknown of ['foreign', groupId('a', 'none')]) {
      await expect(groups.get({ id: unknown, snapshotIds: [] }, noSignal)).rejects.toMatchObject({ code: 'not-found' });
      await groups.delete({ id: unknown, snapshotIds: [] }, noSignal);
    }
    for (const wrong of [[], snapshotIds.slice(1), [...snapshotIds, 'snap-x'], ['snap-x', 'snap-y']]) {
      const mismatch = { code: 'invalid-argument', message: expect.stringMatching(/^snapshot_ids: /) };
      await expect(groups.get({ id, snapshotIds: wrong }, noSignal)).rejects.toMatchObject(mismatch);
      await expect(groups.delete({ id, snapshotIds: wrong }, noSignal)).rejects.toMatchObject(mismatch);
    }
    expect(await groups.get({ id, snapshotIds: snapshotIds.toReversed() }, noSignal)).toEqual(made);
    await groups.delete({ id, snapshotIds }, noSignal);
    await groups.delete({ id, snapshotIds }, noSignal);
    await expect(groups.get({ id, snapshotIds }, noSignal)).rejects.toMatchObject({ code: 'not-found' });
  });

  /** As a crash of the controller between the commits of two nodes leaves it. */
  async function halfCommitted() {
    const all = setUp('a', 'b');
    const ids = [await all.makeVolume('v1', 'a'), await all.makeVolume('v2', 'b')];
    await all.groups.create(ask(ids), noSignal);
    const b = all.directory.agent('b');
    const [[token, record] = ['', undefined]] = [...b.records];
    if (!record) throw new Error('no record');
    b.records.delete(token);
    b.sealed.set(token, record);
    return { ...all, ids, token, b, memberIds: ids.map((v, i) => memberSnapshotId(i === 0 ? 'a' : 'b', 'g', v)) };
  }

  test('a retry finishes a round that was decided, and starts none', async () => {
    const { groups, ids, runs, b, token } = await halfCommitted();
    const made = await groups.create(ask(ids), noSignal);
    expect(made.snapshots).toHaveLength(2);
    expect(runs).toHaveLength(1);
    expect(b.records.has(token)).toBe(true);
  });

  test('so does a get; a delete removes both halves', async () => {
    const first = await halfCommitted();
    const request = { id: groupId('a', 'g'), snapshotIds: first.memberIds };
    expect((await first.groups.get(request, noSignal)).snapshots).toHaveLength(2);
    const second = await halfCommitted();
    await second.groups.delete(request, noSignal);
    expect(second.b.sealed.size).toBe(0);
    expect(second.directory.agent('a').records.size).toBe(0);
  });

  test('half of a group that was being deleted is not taken for a whole one', async () => {
    const { groups, ids, b } = await halfCommitted();
    b.sealed.clear();
    await expect(groups.create(ask(ids), noSignal)).rejects.toMatchObject({ code: 'aborted' });
  });

  describe('whose home is not among the nodes any more', () => {
    async function homeless() {
      const all = setUp('a', 'b', 'c', 'd');
      const ids = [await all.makeVolume('v1', 'a'), await all.makeVolume('v2', 'b'), await all.makeVolume('v3', 'c')];
      const made = await all.groups.create(ask(ids), noSignal);
      const request = { id: made.id, snapshotIds: made.snapshots.map(({ id }) => id) };
      all.directory.gone.add('a');
      const parts = () => ['b', 'c'].filter((node) => all.directory.agents.get(node)?.records.size === 1);
      return { ...all, request, parts };
    }

    test('there is none, and its members that are left are listed, and deleted with it', async () => {
      const { groups, snapshots, request, parts } = await homeless();
      await expect(groups.get(request, noSignal)).rejects.toMatchObject({ code: 'not-found' });
      const { items } = await snapshots.list({ startingToken: '', maxEntries: 0 }, noSignal);
      expect(items.map(({ node, groupId: id }) => [node, id])).toEqual([
        ['b', request.id],
        ['c', request.id],
      ]);
      await groups.delete(request, noSignal);
      expect(parts()).toEqual([]);
      await groups.delete(request, noSignal);
    });

    test('a part that waits for its decision goes too', async () => {
      const { groups, directory, request } = await homeless();
      const { records, sealed } = directory.agent('c');
      for (const [token, record] of records) sealed.set(token, record);
      records.clear();
      await groups.delete(request, noSignal);
      expect(sealed.size).toBe(0);
    });

    test('nothing is deleted while one of its nodes is away, and the rest when it is back', async () => {
      const { groups, directory, request, parts } = await homeless();
      directory.away.add('c');
      await expect(groups.delete(request, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
      expect(parts()).toEqual(['b', 'c']);
      directory.away.delete('c');
      directory.agent('b').records.clear();
      await groups.delete(request, noSignal);
      expect(parts()).toEqual([]);
    });

    test('nothing is deleted for ids that are not its members', async () => {
      const { groups, request, parts } = await homeless();
      const [first = ''] = request.snapshotIds.filter((id) => id.endsWith('.b'));
      await expect(groups.delete({ ...request, snapshotIds: [first] }, noSignal)).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringMatching(/^snapshot_ids: /),
      });
      expect(parts()).toEqual(['b', 'c']);
    });

    test('a group of the same name with another home stays', async () => {
      const { groups, makeVolume, directory, request } = await homeless();
      for (const node of ['b', 'c']) directory.agent(node).records.clear();
      const other = await groups.create(ask([await makeVolume('v4', 'b'), await makeVolume('v5', 'c')]), noSignal);
      await groups.delete(request, noSignal);
      expect(await groups.create(ask(other.snapshots.map((each) => each.sourceVolumeId)), noSignal)).toEqual(other);
    });

    test('it is never whole again when the home comes back, and can be deleted', async () => {
      const { groups, directory, request } = await homeless();
      await groups.delete(request, noSignal);
      directory.gone.clear();
      await expect(groups.get(request, noSignal)).rejects.toMatchObject({ code: 'aborted' });
      await groups.delete(request, noSignal);
      await expect(groups.get(request, noSignal)).rejects.toMatchObject({ code: 'not-found' });
      expect(directory.agent('a').records.size).toBe(0);
    });
  });

  test('a node that is away is never taken for one that has nothing', async () => {
    const { groups, ids, directory, memberIds } = await halfCommitted();
    directory.away.add('b');
    const request = { id: groupId('a', 'g'), snapshotIds: memberIds };
    await expect(groups.create(ask(ids), noSignal)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(groups.get(request, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(groups.delete(request, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
    // A group of that home is not known either.
    const atHome = { ...request, id: groupId('b', 'other') };
    await expect(groups.get(atHome, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(groups.delete(atHome, noSignal)).rejects.toMatchObject({ code: 'unavailable' });
    // One that lives elsewhere is not touched by it.
    const elsewhere = { ...request, id: groupId('a', 'other') };
    await expect(groups.get(elsewhere, noSignal)).rejects.toMatchObject({ code: 'not-found' });
  });
});
