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
