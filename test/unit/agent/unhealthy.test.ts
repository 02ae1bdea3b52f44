/** Pages of volumes that something is wrong with, over a node whose volumes are mostly healthy. */
import { expect, test } from '@jest/globals';
import { pageOfUnhealthy } from '../../../src/agent/unhealthy.ts';
import type { Backend } from '../../../src/core/backend.ts';
import { condition } from '../../../src/core/health.ts';
import type { PageRequest } from '../../../src/core/paging.ts';
import { noSignal } from '../support/fake-agent.ts';

const IDS = Array.from({ length: 1000 }, (_, i) => `vol-${String(i).padStart(4, '0')}`);
const EVERY_7TH = IDS.filter((_, i) => i % 7 === 0);

function setUp(sick: readonly string[]) {
  const looks: number[] = [];
  const backend = {
    listVolumes: async ({ after = '', limit = IDS.length }: PageRequest) => {
      const rest = IDS.filter((id) => id > after);
      const items = rest.slice(0, limit).map((id) => ({ id }));
      return items.length < rest.length ? { items, next: items.at(-1)?.id } : { items };
    },
  } as unknown as Backend;
  const healthOf = async (ids: readonly string[]) => {
    looks.push(ids.length);
    return ids.map((id) => ({ id, conditions: sick.includes(id) ? [condition('ImageMissing', '')] : [] }));
  };
  return { backend, healthOf, looks };
}

test.each([
  ['none, of none', [], {}, [], undefined],
  ['all', EVERY_7TH, {}, EVERY_7TH, undefined],
  ['some, with where to go on', EVERY_7TH, { limit: 3 }, EVERY_7TH.slice(0, 3), EVERY_7TH[2]],
  ['as many as there are', EVERY_7TH, { limit: EVERY_7TH.length }, EVERY_7TH, undefined],
  ['what comes after a healthy one', EVERY_7TH, { after: IDS[8] ?? '', limit: 1 }, [IDS[14]], IDS[14]],
  ['the last', EVERY_7TH, { after: EVERY_7TH.at(-2) ?? '' }, EVERY_7TH.slice(-1), undefined],
  ['no place for any', EVERY_7TH, { limit: 0 }, [], undefined],
] as const)('%s', async (_what, sick, page, ids, next) => {
  const { backend, healthOf, looks } = setUp(sick);
  const found = await pageOfUnhealthy(backend, healthOf, {}, page, noSignal);
  expect(found.items.map(({ id }) => id)).toEqual(ids);
  expect(found.next).toBe(next);
  expect(looks.length).toBeLessThanOrEqual(4);
});

test('one volume alone is looked at when it is asked for', async () => {
  const { backend, healthOf, looks } = setUp(['vol-0004']);
  const ask = async (volumeId: string) => await pageOfUnhealthy(backend, healthOf, { volumeId }, {}, noSignal);
  expect((await ask('vol-0004')).items).toMatchObject([{ id: 'vol-0004' }]);
  expect((await ask('vol-0005')).items).toEqual([]);
  expect(looks).toEqual([1, 1]);
});

test('who gives up is not looked for any longer', async () => {
  const { backend, healthOf, looks } = setUp([]);
  const caller = new AbortController();
  const looking = pageOfUnhealthy(
    backend,
    async (ids) => {
      caller.abort();
      return await healthOf(ids);
    },
    {},
    {},
    caller.signal,
  );
  await expect(looking).rejects.toThrow();
  expect(looks).toHaveLength(1);
});
