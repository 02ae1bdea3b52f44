import { expect, test } from '@jest/globals';
import { judge, type ViolationKind } from '../../../src/prove/judge.ts';
import type { Order } from '../../../src/prove/orders.ts';
import type { Reading } from '../../../src/prove/record.ts';

const FORWARD: Order = [0, 1, 2, 3];
const REVERSED: Order = [3, 2, 1, 0];
const SHUFFLED: Order = [2, 0, 3, 1];

interface Case {
  readonly numbers: readonly number[];
  readonly order?: Order;
  readonly acknowledged?: readonly number[];
  readonly begun?: number;
}

function kinds({ numbers, order = FORWARD, acknowledged = [0, 0, 0, 0], begun = 1000 }: Case): ViolationKind[] {
  const readings = numbers.map(whole);
  return judge(readings, { orders: new Map([[7, order]]), acknowledged, begun }).map(({ kind }) => kind);
}

function whole(number: number): Reading {
  return { number, generation: 7, missing: [], damaged: 0 };
}

test.each<[string, Case]>([
  ['between two numbers', { numbers: [5, 5, 5, 5] }],
  ['after the first volume', { numbers: [6, 5, 5, 5] }],
  ['before the last volume', { numbers: [6, 6, 6, 5] }],
  ['before anything was written', { numbers: [0, 0, 0, 0] }],
  ['in the first number', { numbers: [1, 0, 0, 0] }],
  ['in the reversed order', { numbers: [5, 5, 6, 6], order: REVERSED }],
  ['in a shuffled order', { numbers: [6, 5, 6, 5], order: SHUFFLED }],
  ['exactly at what was acknowledged', { numbers: [6, 6, 5, 5], acknowledged: [6, 6, 5, 5] }],
  ['past what was acknowledged', { numbers: [9, 9, 9, 8], acknowledged: [6, 6, 5, 5] }],
  ['at the last number that was begun', { numbers: [9, 9, 9, 8], begun: 9 }],
])('a cut %s holds', (_, given) => {
  expect(kinds(given)).toEqual([]);
});

test.each<[string, Case, ViolationKind[]]>([
  ['a volume is ahead of its predecessor', { numbers: [5, 6, 5, 5] }, ['ahead']],
  ['the last volume is ahead', { numbers: [5, 5, 5, 6] }, ['ahead']],
  ['every volume is ahead of the one before', { numbers: [5, 6, 7, 8] }, ['ahead', 'ahead', 'ahead']],
  ['the first is two ahead of the last', { numbers: [6, 6, 5, 4] }, ['spread']],
  ['the first is far ahead of the last', { numbers: [60, 50, 40, 30] }, ['spread']],
  ['what holds forward is broken reversed', { numbers: [6, 5, 5, 5], order: REVERSED }, ['ahead']],
  ['what holds forward is broken shuffled', { numbers: [6, 6, 5, 5], order: SHUFFLED }, ['ahead', 'ahead']],
  ['an acknowledged number is lost', { numbers: [5, 5, 5, 5], acknowledged: [6, 5, 5, 5] }, ['lost']],
  ['everything is lost', { numbers: [0, 0, 0, 0], acknowledged: [1, 1, 1, 1] }, Array(4).fill('lost')],
  ['a number comes from after the call', { numbers: [9, 8, 8, 8], begun: 8 }, ['future']],
  ['one volume is empty', { numbers: [5, 5, 0, 5] }, ['ahead']],
])('it is a violation when %s', (_, given, expected) => {
  expect(kinds(given)).toEqual(expected);
});

test('the order is that of the generation of the highest number', () => {
  const orders = new Map<number, Order>([
    [1, [0, 1]],
    [2, [1, 0]],
  ]);
  const facts = { orders, acknowledged: [8, 8], begun: 9 };
  const at = (number: number, generation: number): Reading => ({ number, generation, missing: [], damaged: 0 });
  // 8 was the last number of the first order: volume 2 comes first in 9.
  expect(judge([at(8, 1), at(9, 2)], facts)).toEqual([]);
  expect(judge([at(9, 2), at(8, 1)], facts)).toEqual([
    { kind: 'ahead', volume: 0, detail: 'has 9, but volume 2, written before it, has 8' },
  ]);
});

test('holes, damage and what cannot be read are violations, and the others are still compared', () => {
  const facts = { orders: new Map([[7, FORWARD]]), acknowledged: [5, 5, 5, 5], begun: 9 };
  const holed: Reading = { number: 6, generation: 7, missing: [1, 2, 3, 4], damaged: 0 };
  const damaged: Reading = { number: 6, generation: 7, missing: [], damaged: 2 };
  expect(judge([whole(5), 'mount: wrong fs type', holed, damaged], facts)).toEqual([
    { kind: 'unreadable', volume: 1, detail: 'mount: wrong fs type' },
    { kind: 'hole', volume: 2, detail: 'has 6, but not 1, 2, 3 and 1 more' },
    { kind: 'damaged', volume: 3, detail: 'has 2 damaged blocks' },
    { kind: 'ahead', volume: 2, detail: 'has 6, but volume 1, written before it, has 5' },
  ]);
});

test('a volume that was not looked at is no violation, and the others are still compared', () => {
  const facts = { orders: new Map([[7, FORWARD]]), acknowledged: [5, 5, 5, 5], begun: 9 };
  expect(judge([whole(5), undefined, whole(5), whole(6)], facts)).toEqual([
    { kind: 'ahead', volume: 3, detail: 'has 6, but volume 3, written before it, has 5' },
  ]);
});

test('a generation that nobody asked for is damage', () => {
  const facts = { orders: new Map([[1, FORWARD]]), acknowledged: [0, 0, 0, 0], begun: 9 };
  expect(judge([5, 5, 5, 5].map(whole), facts).map(({ kind }) => kind)).toEqual(['damaged']);
});
