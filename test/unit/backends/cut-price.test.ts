import { expect, test } from '@jest/globals';
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

test('one cut that was held up, and cuts of next to nothing, do not count', () => {
  const price = new CutPrice();
  for (let i = 0; i < 4; i++) price.learn(10_000, 100);
  price.learn(10_000, 4000);
  for (let i = 0; i < 20; i++) price.learn(10, 10);
  expect(price.predictMs(300_000)).toBe(3000);
});
