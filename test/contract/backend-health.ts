import { expect, test } from '@jest/globals';
import { create, cut, idOf, type MakePool, NEVER, singlePlanOf } from './contract.ts';

export function healthContract(makePool: MakePool): void {
  test('with what works nothing is wrong, in the order asked for, also after a crash; nor with what is not there', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    expect(await backend.examine([], NEVER)).toEqual([]);
    const idle = await create(backend, 'idle');
    const used = await create(backend, 'used');
    const device = await backend.attach(used.id, { readOnly: false });
    await cut(backend, singlePlanOf('snapshot', used.id));
    for (const crashed of [false, true]) {
      if (crashed) backend = await pool.open();
      expect(await backend.examine([used.id, idOf('nobody'), idle.id], NEVER)).toEqual([
        { devices: [expect.objectContaining({ ...device })], conditions: [] },
        { devices: [], conditions: [] },
        { devices: [], conditions: [] },
      ]);
    }
    await backend.detach(used.id);
    await backend.deleteVolume(used.id);
    expect(await backend.examine([used.id], NEVER)).toEqual([{ devices: [], conditions: [] }]);
  });

  test('a volume that is being deleted, made or grown is not called broken', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const names = Array.from({ length: 6 }, (_, i) => `volume-${i}`);
    let busy = true;
    const work = async () => {
      for (const name of names) {
        const { id, capacityBytes } = await create(backend, name);
        await backend.expandVolume(id, 2n * capacityBytes, NEVER);
        await backend.deleteVolume(id);
      }
    };
    const working = work().finally(() => {
      busy = false;
    });
    while (busy) {
      const found = await backend.examine(names.map(idOf), NEVER);
      expect(found.flatMap(({ conditions }) => conditions)).toEqual([]);
    }
    await working;
  });
}
