import { expect, test } from '@jest/globals';
import { ordersOf } from '../../../src/prove/orders.ts';
import { Random } from '../../../src/prove/random.ts';

test('nine rounds have all nine pairs of orders, and the first three never the same twice', () => {
  const random = new Random(1);
  const rounds = Array.from({ length: 9 }, (_, round) => ordersOf(round, 4, random));
  const pairs = rounds.map(({ writer, members }) => `${writer.kind} ${members.kind}`);
  expect(new Set(pairs).size).toBe(9);
  for (const { writer, members } of rounds.slice(0, 3)) expect(writer.kind).not.toBe(members.kind);
});

test('an order names every volume once, and the same seed gives the same orders', () => {
  const take = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 30 }, (_, round) => ordersOf(round, 16, random));
  };
  for (const { writer, members } of take(7)) {
    for (const { order } of [writer, members]) {
      expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i));
    }
  }
  expect(take(7)).toEqual(take(7));
  expect(take(7)).not.toEqual(take(8));
});

test('random numbers stay below the limit and reach all of it', () => {
  const random = new Random(3);
  const seen = new Set(Array.from({ length: 1000 }, () => random.below(10)));
  expect([...seen].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
