import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { ReadWriteLock } from '../../../src/core/read-write-lock.ts';

/** Notes when it is granted. */
function asking(lock: ReadWriteLock, how: 'share' | 'alone', log: string[], name: string): Promise<Disposable> {
  return lock[how]().then((held) => {
    log.push(name);
    return held;
  });
}

test('a wait that is given up leaves its place, and those behind it go on', async () => {
  const lock = new ReadWriteLock();
  const log: string[] = [];
  const first = await asking(lock, 'share', log, 'first');
  const patience = new AbortController();
  const impatient = lock.alone(patience.signal);
  const second = asking(lock, 'share', log, 'second');
  await turn();
  expect(log).toEqual(['first']);
  patience.abort(new Error('too long'));
  await expect(impatient).rejects.toThrow('too long');
  (await second)[Symbol.dispose]();
  first[Symbol.dispose]();
  await expect(lock.alone(patience.signal)).rejects.toThrow('too long');
  // What is granted is not taken back.
  const late = new AbortController();
  using held = await lock.alone(late.signal);
  late.abort();
  const third = asking(lock, 'share', log, 'third');
  await turn();
  expect(log).toEqual(['first', 'second']);
  held[Symbol.dispose]();
  (await third)[Symbol.dispose]();
});

test('who has it alone can share it from then on, and nobody has it alone in between', async () => {
  const lock = new ReadWriteLock();
  const log: string[] = [];
  using held = await lock.alone();
  const alone = asking(lock, 'alone', log, 'alone');
  const shared = held.share();
  held[Symbol.dispose]();
  await turn();
  expect(log).toEqual([]);
  shared[Symbol.dispose]();
  (await alone)[Symbol.dispose]();
  expect(log).toEqual(['alone']);
});

test('many share it, one has it alone, first come, first served', async () => {
  const lock = new ReadWriteLock();
  const log: string[] = [];
  const first = await asking(lock, 'share', log, 'first');
  const second = await asking(lock, 'share', log, 'second');
  const alone = asking(lock, 'alone', log, 'alone');
  const third = asking(lock, 'share', log, 'third');
  await turn();
  expect(log).toEqual(['first', 'second']);
  first[Symbol.dispose]();
  first[Symbol.dispose](); // once is enough
  await turn();
  expect(log).toEqual(['first', 'second']);
  second[Symbol.dispose]();
  const held = await alone;
  await turn();
  expect(log).toEqual(['first', 'second', 'alone']);
  held[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  (await lock.alone())[Symbol.dispose]();
});
