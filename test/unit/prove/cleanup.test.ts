import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { mapLimited } from '../../../src/core/concurrency.ts';
import { DriverError } from '../../../src/core/errors.ts';
import { Cleanup } from '../../../src/prove/cleanup.ts';

const failing = (text: string) => () => Promise.reject(new Error(text));

test('what was made last is undone first, scope by scope, once', async () => {
  const cleanup = new Cleanup();
  const done: string[] = [];
  const [first, second] = [cleanup.scope(), cleanup.scope()];
  first.add('a', async () => void done.push('a'));
  second.add('b', async () => void done.push('b'));
  first.add('c', async () => void done.push('c'));
  expect(await cleanup.run()).toEqual([]);
  expect(await cleanup.run()).toEqual([]);
  expect(done).toEqual(['b', 'c', 'a']);
});

test('a release stops at what cannot be undone; the end goes on, and tries it again', async () => {
  const cleanup = new Cleanup();
  const scope = cleanup.scope();
  const done: string[] = [];
  let busy = true;
  scope.add('volume', async () => void done.push('volume'));
  scope.add('mount', () => (busy ? failing('busy')() : Promise.resolve(void done.push('mount'))));
  scope.add('file', async () => void done.push('file'));
  expect(await scope.release()).toBe('mount: busy');
  expect(done).toEqual(['file']);
  busy = false;
  expect(await cleanup.run()).toEqual([]);
  expect(done).toEqual(['file', 'mount', 'volume']);
});

test('all failures of the end are told', async () => {
  const cleanup = new Cleanup();
  const scope = cleanup.scope();
  scope.add('one', failing('is stuck'));
  scope.add('two', failing('is stuck too'));
  expect(await cleanup.run()).toEqual(['two: is stuck too', 'one: is stuck']);
});

test('a thing that may or may not have been made is asked for again, one that was refused is not', async () => {
  const removed: string[] = [];
  const attempt = async (code: 'internal' | 'resource-exhausted') => {
    const cleanup = new Cleanup();
    let calls = 0;
    const create = async () => {
      if (++calls === 1) throw new DriverError(code, 'no');
      return `thing of call ${calls}`;
    };
    const made = cleanup.scope().make('thing', create, async (thing) => void removed.push(thing));
    await expect(made).rejects.toThrow('no');
    expect(await cleanup.run()).toEqual([]);
    return calls;
  };
  expect(await attempt('internal')).toBe(2);
  expect(await attempt('resource-exhausted')).toBe(1);
  expect(removed).toEqual(['thing of call 2']);
});

test('a limited map keeps to its limit and the order, and waits for what runs when one fails', async () => {
  let running = 0;
  let most = 0;
  const work = async (item: number) => {
    most = Math.max(most, ++running);
    await sleep(5);
    running--;
    if (item === 4) throw new Error('four');
    return item * 2;
  };
  expect(await mapLimited([1, 2, 3, 5, 6, 7], 3, work)).toEqual([2, 4, 6, 10, 12, 14]);
  expect(most).toBe(3);
  const seen: number[] = [];
  await expect(
    mapLimited([1, 2, 4, 8, 9, 10, 11], 2, async (item) => {
      seen.push(item);
      return await work(item);
    }),
  ).rejects.toThrow('four');
  expect(running).toBe(0);
  expect(seen).not.toContain(11);
});
