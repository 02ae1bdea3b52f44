import { describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/core/backend.ts';
import { groupId, type VolumeId, volumeId } from '../../src/core/ids.ts';
import type { RoundPlan } from '../../src/core/round.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import {
  type ContractPool,
  CUT_STEPS,
  create,
  cut,
  cutUntil,
  evidenceFor,
  fill,
  HOME_ELSEWHERE,
  idOf,
  type MakePool,
  memberIdOf,
  NEVER,
  NODE,
  pages,
  planOf,
  singlePlanOf,
  textOf,
  writeBlock,
} from './contract.ts';

const UNCOMMITTED = CUT_STEPS.filter((step) => step !== 'commit');
const aborted = { code: 'aborted' };

export function cutContract(makePool: MakePool): void {
  const open = async () => {
    const pool = await makePool();
    const backend = await pool.open();
    const volumes: VolumeId[] = [];
    for (const name of ['one', 'two', 'three']) volumes.push((await create(backend, name)).id);
    return { pool, backend, volumes };
  };

  test('is seen when it is committed, whole, and not a step before', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    await backend.setContent(volumes[0] ?? '', { kind: 'filesystem', fsType: 'ext4', identity: 'own' });
    const plan = planOf('group', volumes);
    const before = Date.now();
    await backend.prepareCut(plan, NEVER);
    await expectUnseen(backend, plan);
    for (const id of volumes.toReversed()) {
      await backend.cutMember(plan.token, id);
      await expectUnseen(backend, plan);
    }
    await backend.sealCut(plan.token, evidenceFor(plan));
    await expectUnseen(backend, plan);
    const record = await backend.commitCut(plan.token);
    expect(record).toEqual({
      token: plan.token,
      node: NODE,
      group: plan.group,
      evidence: evidenceFor(plan),
      snapshots: plan.members.map(({ volumeId: sourceVolumeId, snapshotId }, i) => ({
        id: snapshotId,
        name: 'group',
        node: NODE,
        sourceVolumeId,
        sizeBytes: backend.minVolumeBytes,
        heldBytes: expect.any(BigInt),
        content: i === 0 ? { kind: 'filesystem', fsType: 'ext4', identity: 'own' } : { kind: 'blank' },
        createdAt: expect.any(Number),
        groupId: groupId(NODE, 'group'),
      })),
    });
    for (const { createdAt } of record.snapshots) {
      expect(createdAt).toBeGreaterThanOrEqual(before);
      expect(createdAt).toBeLessThanOrEqual(Date.now());
    }
    await expectSeen(backend, plan, record.snapshots);
  });

  test('is committed once, and again after a crash the same', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    const plan = planOf('group', volumes);
    const record = await cut(backend, plan);
    expect(await backend.commitCut(plan.token)).toEqual(record);
    const later = await pool.open();
    await expectSeen(later, plan, record.snapshots);
    expect(await later.getGroup(groupId(NODE, 'group'))).toEqual(record);
    expect(await later.commitCut(plan.token)).toEqual(record);
    await expect(later.abortCut(plan.token)).rejects.toMatchObject({ code: 'failed-precondition' });
    await expectSeen(later, plan, record.snapshots);
  });

  test('has each volume as it was at its cut', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    const plan = planOf('group', volumes);
    const devices = await Promise.all(volumes.map((id) => backend.attach(id, { readOnly: false })));
    for (const [i, device] of devices.entries()) await writeBlock(device, `before ${i}`);
    await cutUntil(backend, plan, 'cut');
    for (const device of devices) await writeBlock(device, 'after');
    await backend.sealCut(plan.token, evidenceFor(plan));
    await backend.commitCut(plan.token);
    for (const [i, { snapshotId }] of plan.members.entries()) {
      const source = { kind: 'snapshot' as const, id: snapshotId };
      const { id } = await create(backend, `restored-${i}`, { source });
      expect(await textOf(backend, id)).toBe(`before ${i}`);
    }
  });

  describe.each(UNCOMMITTED)('that came as far as %s', (step) => {
    test('can be aborted, any number of times, and then be neither sealed nor committed', async () => {
      const { pool, backend, volumes } = await open();
      await using _pool = pool;
      const plan = planOf('group', volumes);
      await cutUntil(backend, plan, step);
      await backend.abortCut(plan.token);
      await backend.abortCut(plan.token);
      await expectUnseen(backend, plan);
      await expect(backend.cutMember(plan.token, volumes[0] ?? '')).rejects.toMatchObject(aborted);
      await expect(backend.sealCut(plan.token, evidenceFor(plan))).rejects.toMatchObject(aborted);
      await expect(backend.commitCut(plan.token)).rejects.toMatchObject(aborted);
      await expectUnseen(backend, plan);
      await expectUnseen(await pool.open(), plan);
    });

    test('is gone after a crash, and can be made anew', async () => {
      const { pool, backend, volumes } = await open();
      await using _pool = pool;
      const plan = planOf('group', volumes);
      await cutUntil(backend, plan, step);
      const later = await crash(pool, backend, plan);
      await expectUnseen(later, plan);
      await expect(later.commitCut(plan.token)).rejects.toMatchObject(aborted);
      await later.abortCut(plan.token);
      const again = planOf('group', volumes);
      await expectSeen(later, again, (await cut(later, again)).snapshots);
    });
  });

  test('of a token that was never heard of can be aborted, and nothing else', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    const { token, ...rest } = planOf('group', volumes);
    await backend.abortCut(token);
    await expect(backend.cutMember(token, volumes[0] ?? '')).rejects.toMatchObject(aborted);
    await expect(backend.sealCut(token, evidenceFor({ token, ...rest }))).rejects.toMatchObject(aborted);
    await expect(backend.commitCut(token)).rejects.toMatchObject(aborted);
  });

  test('is refused out of order', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    const plan = planOf('group', volumes.slice(0, 2));
    await backend.prepareCut(plan, NEVER);
    await expect(backend.prepareCut(plan, NEVER)).rejects.toMatchObject(aborted);
    await expect(backend.commitCut(plan.token)).rejects.toMatchObject(aborted);
    await expect(backend.cutMember(plan.token, volumes[2] ?? '')).rejects.toThrow();
    await backend.cutMember(plan.token, volumes[0] ?? '');
    // One of its members is not cut yet.
    await expect(backend.sealCut(plan.token, evidenceFor(plan))).rejects.toThrow();
    await expect(backend.commitCut(plan.token)).rejects.toMatchObject(aborted);
    await expectUnseen(backend, plan);
    // None of which has done any harm.
    await backend.cutMember(plan.token, volumes[1] ?? '');
    await backend.sealCut(plan.token, evidenceFor(plan));
    await expectSeen(backend, plan, (await backend.commitCut(plan.token)).snapshots);
  });

  test('of a volume that is not there is refused, and leaves nothing', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    const plan = planOf('group', [...volumes, idOf('nobody')]);
    await expect(backend.prepareCut(plan, NEVER)).rejects.toMatchObject({ code: 'not-found' });
    await expect(backend.commitCut(plan.token)).rejects.toMatchObject(aborted);
    await expectUnseen(backend, plan);
  });

  describe('sealed, of a group whose home is another node', () => {
    const stranger = volumeId(HOME_ELSEWHERE, 'stranger');
    const sealed = async () => {
      const { pool, backend, volumes } = await open();
      const plan = planOf('group', volumes, [stranger]);
      await cutUntil(backend, plan, 'seal');
      return { pool, plan, backend: await pool.open() };
    };

    test('waits for its decision through a crash, unseen, and can be committed', async () => {
      const { pool, plan, backend } = await sealed();
      await using _pool = pool;
      await expectUnseen(backend, plan);
      expect(await backend.sealedCuts()).toEqual([{ token: plan.token, group: plan.group }]);
      const again = await pool.open();
      const record = await again.commitCut(plan.token);
      expect(await again.sealedCuts()).toEqual([]);
      expect(record).toMatchObject({ token: plan.token, group: plan.group, evidence: evidenceFor(plan) });
      await expectSeen(again, plan, record.snapshots);
      await expectSeen(await pool.open(), plan, record.snapshots);
    });

    test('or be aborted', async () => {
      const { pool, plan, backend } = await sealed();
      await using _pool = pool;
      await backend.abortCut(plan.token);
      expect(await backend.sealedCuts()).toEqual([]);
      await expect(backend.commitCut(plan.token)).rejects.toMatchObject(aborted);
      const later = await pool.open();
      await expectUnseen(later, plan);
      expect(await later.sealedCuts()).toEqual([]);
    });

    test('is gone after a crash of the home itself: nobody had decided', async () => {
      const { pool, backend, volumes } = await open();
      await using _pool = pool;
      const plan = planOf('group', volumes, [volumeId('node-z', 'stranger')]);
      await cutUntil(backend, plan, 'seal');
      expect(await backend.sealedCuts()).toEqual([{ token: plan.token, group: plan.group }]);
      const later = await crash(pool, backend, plan);
      expect(await later.sealedCuts()).toEqual([]);
      await expect(later.commitCut(plan.token)).rejects.toMatchObject(aborted);
      await expectUnseen(later, plan);
    });

    test('but not before it was sealed', async () => {
      const { pool, backend, volumes } = await open();
      await using _pool = pool;
      const plan = planOf('group', volumes, [stranger]);
      await cutUntil(backend, plan, 'cut');
      const later = await crash(pool, backend, plan);
      await expect(later.commitCut(plan.token)).rejects.toMatchObject(aborted);
      await expectUnseen(later, plan);
    });
  });

  test('of a group is deleted whole, and only whole', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    const plan = planOf('group', volumes);
    const { snapshots } = await cut(backend, plan);
    for (const { id } of snapshots) {
      await expect(backend.deleteSnapshot(id)).rejects.toMatchObject({ code: 'failed-precondition' });
    }
    await expectSeen(backend, plan, snapshots);
    await backend.deleteGroup(groupId(NODE, 'group'));
    await backend.deleteGroup(groupId(NODE, 'group'));
    for (const { id } of snapshots) await backend.deleteSnapshot(id);
    await expectUnseen(backend, plan);
    const later = await pool.open();
    await expectUnseen(later, plan);
    await later.deleteGroup(groupId(NODE, 'group'));
    await later.deleteGroup(groupId(NODE, 'never was'));
  });

  test('of one volume is a snapshot of its own', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    const plan = singlePlanOf('snapshot', volumes[0] ?? '');
    const { group, snapshots } = await cut(backend, plan);
    const [snapshot] = snapshots;
    expect(group).toBeUndefined();
    expect(snapshot).toMatchObject({ name: 'snapshot', sourceVolumeId: volumes[0] });
    expect(snapshot).not.toHaveProperty('groupId');
    const later = await pool.open();
    expect(await later.getSnapshot(snapshot?.id ?? '')).toEqual(snapshot);
    await later.deleteSnapshot(snapshot?.id ?? '');
    await later.deleteSnapshot(snapshot?.id ?? '');
    expect(await later.listSnapshots({}, {})).toEqual({ items: [] });
    expect(await (await pool.open()).listSnapshots({}, {})).toEqual({ items: [] });
  });

  test('outlives its volumes', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    await fill(backend, volumes[0] ?? '', 'last words');
    const plan = planOf('group', volumes);
    const { snapshots } = await cut(backend, plan);
    for (const id of volumes) await backend.deleteVolume(id);
    const later = await pool.open();
    await expectSeen(later, plan, snapshots);
    const source = { kind: 'snapshot' as const, id: snapshots[0]?.id ?? '' };
    const { id } = await create(later, 'restored', { source });
    expect(await textOf(later, id)).toBe('last words');
  });

  test('is listed by page and by volume', async () => {
    const { pool, backend, volumes } = await open();
    await using _pool = pool;
    for (let i = 0; i < 4; i++) await cut(backend, planOf(`group-${i}`, volumes));
    const [one = ''] = volumes;
    await cut(backend, singlePlanOf('single', one));
    await expectPages(pool, backend, one, 13, 5);
    await backend.deleteGroup(groupId(NODE, 'group-2'));
    await expectPages(pool, backend, one, 10, 4);
    expect(await backend.listSnapshots({ sourceVolumeId: idOf('nobody') }, {})).toEqual({ items: [] });
  });
}

/** The next instance, opened while the last one is in the middle of a cut. */
async function crash(pool: ContractPool, backend: Backend, plan: RoundPlan): Promise<Backend> {
  const later = await pool.open();
  // A process that had really died would hold nothing open any more. There is nothing left that this could delete.
  await backend.abortCut(plan.token);
  return later;
}

async function expectPages(
  pool: ContractPool,
  now: Backend,
  volume: VolumeId,
  all: number,
  own: number,
): Promise<void> {
  for (const backend of [now, await pool.open()]) {
    const { items } = await backend.listSnapshots({}, {});
    expect(items).toHaveLength(all);
    expect(items).toEqual(items.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
    const ofVolume = items.filter(({ sourceVolumeId }) => sourceVolumeId === volume);
    expect(ofVolume).toHaveLength(own);
    for (const limit of [1, 3, 100]) {
      expect(await pages((page) => backend.listSnapshots({}, page), limit)).toEqual(items);
      const filter = { sourceVolumeId: volume };
      expect(await pages((page) => backend.listSnapshots(filter, page), limit)).toEqual(ofVolume);
    }
  }
}

/** Nothing of the round can be found, by any way of looking. */
async function expectUnseen(backend: Backend, plan: RoundPlan): Promise<void> {
  expect(await backend.listSnapshots({}, {})).toEqual({ items: [] });
  expect(await backend.getGroup(groupId(NODE, plan.name))).toBeUndefined();
  for (const { volumeId: sourceVolumeId, snapshotId } of plan.members) {
    expect(await backend.getSnapshot(snapshotId)).toBeUndefined();
    expect(await backend.listSnapshots({ sourceVolumeId }, {})).toEqual({ items: [] });
  }
}

async function expectSeen(backend: Backend, plan: RoundPlan, snapshots: readonly Snapshot[]): Promise<void> {
  expect(snapshots.map(({ id }) => id)).toEqual(plan.members.map(({ volumeId: id }) => memberIdOf(plan.name, id)));
  expect((await backend.listSnapshots({}, {})).items.toSorted(byId)).toEqual(snapshots.toSorted(byId));
  expect((await backend.getGroup(groupId(NODE, plan.name)))?.snapshots).toEqual(snapshots);
  for (const snapshot of snapshots) expect(await backend.getSnapshot(snapshot.id)).toEqual(snapshot);
}

function byId(a: Snapshot, b: Snapshot): number {
  return a.id < b.id ? -1 : 1;
}
