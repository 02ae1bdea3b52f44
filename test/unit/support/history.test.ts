import { expect, test } from '@jest/globals';
import { type Operation, unexplained } from '../../support/history.ts';

type There = 'there' | 'gone';

const made = (called: number, answered: number): Operation<There> => ({
  what: 'made',
  called,
  answered,
  effect: () => ['there'],
});
const deleted = (called: number, answered: number): Operation<There> => ({
  what: 'deleted',
  called,
  answered,
  effect: () => ['gone'],
});
const seen = (state: There, called: number, answered: number): Operation<There> => ({
  what: `seen ${state}`,
  called,
  answered,
  effect: (now) => (now === state ? [now] : []),
});

test('what happens one after the other is explained', () => {
  expect(unexplained('gone', [made(1, 2), seen('there', 3, 4), deleted(5, 6), seen('gone', 7, 8)])).toBeUndefined();
});

test('an acknowledged thing must not be missing', () => {
  expect(unexplained('gone', [made(1, 2), seen('gone', 3, 4)])).toContain("can't be: seen gone");
});

test('a deleted thing must not come back', () => {
  const operations = [made(1, 2), deleted(3, 4), seen('there', 5, 6)];
  expect(unexplained('gone', operations)).toContain('it was then: "gone"');
});

test('at the same time, either order will do, but only one for all', () => {
  expect(unexplained('gone', [made(1, 10), deleted(2, 9), seen('there', 11, 12)])).toBeUndefined();
  expect(unexplained('gone', [made(1, 10), deleted(2, 9), seen('gone', 11, 12)])).toBeUndefined();
  expect(unexplained('gone', [made(1, 10), deleted(2, 9), seen('gone', 11, 12), seen('there', 13, 14)])).toBeDefined();
  // Seen while it was being made, then not, and nobody deletes.
  expect(unexplained('gone', [made(1, 10), seen('there', 2, 3), seen('gone', 4, 5)])).toBeDefined();
});

test('what was lost may have happened or not, and not after its end', () => {
  const lost: Operation<There> = { ...made(1, 4), lost: true };
  expect(unexplained('gone', [lost, seen('there', 5, 6)])).toBeUndefined();
  expect(unexplained('gone', [lost, seen('gone', 5, 6)])).toBeUndefined();
  expect(unexplained('gone', [lost, seen('gone', 5, 6), seen('there', 7, 8)])).toBeDefined();
});
