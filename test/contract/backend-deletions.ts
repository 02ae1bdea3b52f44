import { afterEach, describe, expect, test } from '@jest/globals';
import { armFailpoints } from '../../src/core/failpoint.ts';
import { groupId, snapshotId } from '../../src/core/ids.ts';
import { type ContractPool, create, cut, type MakePool, NEVER, NODE, planOf, singlePlanOf } from './contract.ts';

const POINT = 'snapshot.delete.unrecorded';
const fails = { code: 'EIO' };

export function deletionContract(makePool: MakePool): void {
  afterEach(() => armFailpoints(`${POINT}=sleep:0`));

  const open = async () => {
    const pool = await makePool();
    const backend = await pool.open();
    const { id } = await create(backend, 'volume');
    const ways = {
      'a snapshot': {
        make: () => cut(backend, singlePlanOf('name', id)),
        remove: () => backend.deleteSnapshot(snapshotId(NODE, 'name')),
      },
      'a group': {
        make: () => cut(backend, planOf('name', [id])),
        remove: () => backend.deleteGroup(groupId(NODE, 'name')),
      },
    };
    return { pool, backend, ways };
  };

  describe.each(['a snapshot', 'a group'] as const)('of %s that fails after it was begun', (kind) => {
    test('is finished by the next call', async () => {
      const { pool, backend, ways } = await open();
      await using _pool = pool;
      const { make, remove } = ways[kind];
      const before = (await backend.capacity(NEVER)).promisedBytes;
      await make();
      armFailpoints(`${POINT}=fail:EIO`);
      for (let call = 0; call < 2; call++) {
        await expect(remove()).rejects.toMatchObject(fails);
        expect(await backend.listSnapshots({}, {})).toEqual({ items: [] });
      }
      armFailpoints(`${POINT}=sleep:0`);
      await remove();
      await remove();
      expect((await backend.capacity(NEVER)).promisedBytes).toBe(before);
      await expectNothingToSweep(pool);
    });

    test('is finished before there is another of its name', async () => {
      const { pool, backend, ways } = await open();
      await using _pool = pool;
      const { make, remove } = ways[kind];
      await make();
      armFailpoints(`${POINT}=fail:EIO`);
      await expect(remove()).rejects.toMatchObject(fails);
      armFailpoints(`${POINT}=sleep:0`);
      const { snapshots } = await make();
      expect((await backend.listSnapshots({}, {})).items).toEqual(snapshots);
      await expectNothingToSweep(pool);
    });
  });
}

async function expectNothingToSweep(pool: ContractPool): Promise<void> {
  await pool.open();
  expect(pool.log.messages()).not.toContain('removing a cut that was never committed');
}
