import { describe, expect, test } from '@jest/globals';
import { CutPrice } from '../../../src/backends/loop/cut-price.ts';

test('a pool that has cut nothing yet goes by what was measured elsewhere', () => {
  expect(new CutPrice().predictMs(300_000)).toBe(4500);
});

test('cuts teach what an extent costs here, and old ones are forgotten', () => {
  const price = new CutPrice();
  for (let i = 0; i < 3; i++) price.learn(10_000, 50);
  expect(price.predictMs(300_000)).toBe(1500);
  for (let i = 0; i < 9; i++) price.learn(10_000, 300);
  expect(price.predictMs(300_000)).toBe(9000);
});

test('one slow cut, as the first that tells, does not count', () => {
  const price = new CutPrice();
  price.learn(10_000, 4000);
  expect(price.predictMs(10_000)).toBe(150);
});

describe('of a pool whose cuts were slow', () => {
  const BUDGET_MS = 1000;
  /** Ten of a volume that the first guess can afford, with something that fits anyway in between. */
  function tenOf(extents: number, price: CutPrice): readonly boolean[] {
    return Array.from({ length: 10 }, () => {
      expect(price.refuses(10, BUDGET_MS)).toBe(false);
      return price.refuses(extents, BUDGET_MS);
    });
  }
  const NINE_AND_ONE = [...new Array<boolean>(9).fill(true), false];

  test('one in ten is tried, also when nothing is learned from it', () => {
    const price = new CutPrice();
    for (let i = 0; i < 9; i++) price.learn(10_000, 4000);
    expect(tenOf(10_000, price)).toEqual(NINE_AND_ONE);
    expect(tenOf(10_000, price)).toEqual(NINE_AND_ONE);
  });

  test('and what the pool tells then counts', () => {
    const price = new CutPrice();
    for (let i = 0; i < 3; i++) price.learn(10_000, 4000);
    expect(tenOf(10_000, price)).toEqual(NINE_AND_ONE);
    for (let i = 0; i < 4; i++) price.learn(10_000, 100);
    expect(price.refuses(10_000, BUDGET_MS)).toBe(false);
  });

  test('what is too much for any pool never is', () => {
    const price = new CutPrice();
    for (let i = 0; i < 9; i++) price.learn(10_000, 4000);
    for (let i = 0; i < 3; i++) expect(tenOf(300_000, price)).not.toContain(false);
  });
});

test('one cut that was held up, and cuts of next to nothing, do not count', () => {
  const price = new CutPrice();
  for (let i = 0; i < 4; i++) price.learn(10_000, 100);
  price.learn(10_000, 4000);
  for (let i = 0; i < 20; i++) price.learn(10, 10);
  expect(price.predictMs(300_000)).toBe(3000);
});
