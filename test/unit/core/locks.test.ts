import { describe, expect, test } from '@jest/globals';
import { KeyedLocks } from '../../../src/core/locks.ts';
import { Random } from '../../../src/prove/random.ts';

describe('KeyedLocks', () => {
  test('a busy key is aborted at once, and the message says who holds it', () => {
    const locks = new KeyedLocks();
    using _held = locks.acquire('CreateVolume', { exclusive: ['volume a', 'volume b'] });
    expect(() => locks.acquire('DeleteVolume', { exclusive: ['volume b'] })).toThrow(
      expect.objectContaining({ code: 'aborted', message: 'CreateVolume is still working on volume b' }),
    );
    using _other = locks.acquire('DeleteVolume', { exclusive: ['volume c'] });
  });

  test('takes all keys or none', () => {
    const locks = new KeyedLocks();
    using _held = locks.acquire('one', { exclusive: ['b'] });
    expect(() => locks.acquire('two', { exclusive: ['a', 'b', 'c'] })).toThrow(
      expect.objectContaining({ code: 'aborted' }),
    );
    expect(locks.size).toBe(1);
    using _free = locks.acquire('three', { exclusive: ['a', 'c'] });
  });

  test('the same key twice in one call is one key', () => {
    const locks = new KeyedLocks();
    const held = locks.acquire('one', { exclusive: ['a', 'a'] });
    expect(locks.size).toBe(1);
    held[Symbol.dispose]();
    expect(locks.size).toBe(0);
  });

  test('no keys: nothing is locked', () => {
    const locks = new KeyedLocks();
    using _first = locks.acquire('Probe', { exclusive: [] });
    using _second = locks.acquire('Probe', { exclusive: [] });
    expect(locks.size).toBe(0);
  });

  test('letting go twice does not let go of what somebody else holds now', () => {
    const locks = new KeyedLocks();
    const first = locks.acquire('one', { exclusive: ['a'] });
    first[Symbol.dispose]();
    using _second = locks.acquire('two', { exclusive: ['a'] });
    first[Symbol.dispose]();
    expect(() => locks.acquire('three', { exclusive: ['a'] })).toThrow('two is still working on a');
  });

  test('whatever many do at the same time, no key ever has two holders', async () => {
    const locks = new KeyedLocks();
    const random = new Random(4);
    const inside = new Map<string, number>();
    let taken = 0;
    let refused = 0;
    const worker = async (name: string) => {
      for (let i = 0; i < 200; i++) {
        const keys = Array.from({ length: 1 + random.below(3) }, () => `key ${random.below(12)}`);
        try {
          using _held = locks.acquire(name, { exclusive: keys });
          taken++;
          for (const key of new Set(keys)) {
            expect(inside.get(key) ?? 0).toBe(0);
            inside.set(key, 1);
          }
          await new Promise(setImmediate);
          for (const key of keys) inside.set(key, 0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'aborted' });
          refused++;
          await new Promise(setImmediate);
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, i) => worker(`worker ${i}`)));
    expect(locks.size).toBe(0);
    expect(taken).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  });

  test('a shared key is shared, and excludes whoever would change it', () => {
    const locks = new KeyedLocks();
    const restore1 = locks.acquire('restore 1', { exclusive: ['volume 1'], shared: ['snapshot'] });
    const restore2 = locks.acquire('restore 2', { exclusive: ['volume 2'], shared: ['snapshot'] });
    expect(() => locks.acquire('delete', { exclusive: ['snapshot'] })).toThrow(
      'restore 1 is still working on snapshot',
    );
    restore1[Symbol.dispose]();
    restore1[Symbol.dispose](); // once more changes nothing
    expect(() => locks.acquire('delete', { exclusive: ['snapshot'] })).toThrow('still working');
    restore2[Symbol.dispose]();
    using _deletion = locks.acquire('delete', { exclusive: ['snapshot'] });
    expect(() => locks.acquire('restore 3', { exclusive: [], shared: ['snapshot'] })).toThrow(
      'delete is still working',
    );
    expect(locks.size).toBe(1);
  });
});
