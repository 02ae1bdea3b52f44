import { describe, expect, test } from '@jest/globals';
import { KeyedLocks } from '../../../src/core/locks.ts';
import { Random } from '../../../src/prove/random.ts';

describe('KeyedLocks', () => {
  test('a busy key is aborted at once, and the message says who holds it', () => {
    const locks = new KeyedLocks();
    using _held = locks.acquire('CreateVolume', ['volume a', 'volume b']);
    expect(() => locks.acquire('DeleteVolume', ['volume b'])).toThrow(
      expect.objectContaining({ code: 'aborted', message: 'CreateVolume is still working on volume b' }),
    );
    using _other = locks.acquire('DeleteVolume', ['volume c']);
  });

  test('takes all keys or none', () => {
    const locks = new KeyedLocks();
    using _held = locks.acquire('one', ['b']);
    expect(() => locks.acquire('two', ['a', 'b', 'c'])).toThrow(expect.objectContaining({ code: 'aborted' }));
    expect(locks.size).toBe(1);
    using _free = locks.acquire('three', ['a', 'c']);
  });

  test('the same key twice in one call is one key', () => {
    const locks = new KeyedLocks();
    const held = locks.acquire('one', ['a', 'a']);
    expect(locks.size).toBe(1);
    held[Symbol.dispose]();
    expect(locks.size).toBe(0);
  });

  test('no keys: nothing is locked', () => {
    const locks = new KeyedLocks();
    using _first = locks.acquire('Probe', []);
    using _second = locks.acquire('Probe', []);
    expect(locks.size).toBe(0);
  });

  test('letting go twice does not let go of what somebody else holds now', () => {
    const locks = new KeyedLocks();
    const first = locks.acquire('one', ['a']);
    first[Symbol.dispose]();
    using _second = locks.acquire('two', ['a']);
    first[Symbol.dispose]();
    expect(() => locks.acquire('three', ['a'])).toThrow('two is still working on a');
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
          using _held = locks.acquire(name, keys);
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
});
