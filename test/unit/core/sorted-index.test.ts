import { describe, expect, test } from '@jest/globals';
import type { Page } from '../../../src/core/paging.ts';
import { SortedIndex } from '../../../src/core/sorted-index.ts';
import { Random } from '../../../src/prove/random.ts';

interface Item {
  readonly id: string;
  readonly version: number;
}

/** The same by the simplest means. */
class Model {
  readonly items = new Map<string, Item>();

  page(after: string | undefined, limit: number | undefined): Page<Item> {
    const all = [...this.items.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const rest = all.filter(({ id }) => after === undefined || id > after);
    const items = rest.slice(0, limit);
    const last = items.at(-1);
    return rest.length > items.length && last ? { items, next: last.id } : { items };
  }
}

function allPages(index: SortedIndex<Item>, limit: number): readonly Item[] {
  const items: Item[] = [];
  let after: string | undefined;
  do {
    const page: Page<Item> = index.page({ limit, ...(after !== undefined && { after }) });
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}

describe('SortedIndex', () => {
  test.each([1, 2, 3, 4, 5])('does what a sorted list does, over random operations (seed %d)', (seed) => {
    const random = new Random(seed);
    const index = new SortedIndex<Item>();
    const model = new Model();
    // Few ids, so that most are set again or deleted; mixed case, so that the order is that of code units.
    const someId = () => `${'aZ-z0'[random.below(5)]}${random.below(30)}`;
    for (let version = 0; version < 2000; version++) {
      const id = someId();
      if (random.below(5) < 3) {
        index.set({ id, version });
        model.items.set(id, { id, version });
      } else {
        index.delete(id);
        model.items.delete(id);
      }
      // Not each time: several may have been added since anybody asked.
      if (random.below(3) > 0) continue;
      const after = random.below(4) === 0 ? undefined : someId();
      const limit = random.below(4) === 0 ? undefined : 1 + random.below(8);
      const request = { ...(after !== undefined && { after }), ...(limit !== undefined && { limit }) };
      expect(index.page(request)).toEqual(model.page(after, limit));
      expect(index.get(id)).toEqual(model.items.get(id));
      expect(index.size).toBe(model.items.size);
    }
    for (const limit of [1, 2, 7, 1000]) expect(allPages(index, limit)).toEqual(model.page(undefined, undefined).items);
    expect([...index.values()]).toHaveLength(index.size);
  });

  test('what stays is listed exactly once while other things come and go between pages', () => {
    const index = new SortedIndex<Item>();
    const stable = Array.from({ length: 50 }, (_, i) => `k${String(i * 10).padStart(4, '0')}`);
    for (const id of stable) index.set({ id, version: 0 });
    const random = new Random(9);
    const seen: string[] = [];
    const extra = new Set<string>();
    for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
      const page: Page<Item> = index.page({ limit: 3, ...(after !== undefined && { after }) });
      seen.push(...page.items.map(({ id }) => id));
      after = page.next;
      // The token itself may go: `after` may name one of these.
      for (const id of extra) if (random.below(2) === 0 && extra.delete(id)) index.delete(id);
      for (let i = 0; i < 4; i++) {
        const id = `k${String(random.below(500)).padStart(4, '0')}x`;
        index.set({ id, version: 1 });
        extra.add(id);
      }
    }
    expect(seen.filter((id) => !id.endsWith('x'))).toEqual(stable);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('a page that ends with the last item has no successor', () => {
    const index = new SortedIndex<Item>();
    expect(index.page({})).toEqual({ items: [] });
    expect(index.page({ after: 'x', limit: 1 })).toEqual({ items: [] });
    for (const id of ['b', 'a']) index.set({ id, version: 0 });
    expect(index.page({ limit: 2 }).next).toBeUndefined();
    expect(index.page({ limit: 1 }).next).toBe('a');
    expect(index.page({ after: 'a', limit: 1 }).next).toBeUndefined();
    expect(index.page({ after: 'b' })).toEqual({ items: [] });
  });

  test('a page costs its length, not that of the index', () => {
    const build = (count: number) => {
      const index = new SortedIndex<Item>();
      for (let i = 0; i < count; i++) index.set({ id: `id-${String(i).padStart(7, '0')}`, version: i });
      return index;
    };
    const time = (index: SortedIndex<Item>, count: number) => {
      const after = `id-${String(Math.floor(count / 2)).padStart(7, '0')}`;
      const runs = Array.from({ length: 30 }, () => {
        const start = performance.now();
        for (let i = 0; i < 100; i++) index.page({ after, limit: 10 });
        return performance.now() - start;
      });
      return Math.min(...runs);
    };
    const small = build(1_000);
    const large = build(100_000);
    // 100 times as many: a search in halves takes 1.7 times as long, a walk 100 times.
    expect(time(large, 100_000)).toBeLessThan(20 * time(small, 1_000));
  });
});
