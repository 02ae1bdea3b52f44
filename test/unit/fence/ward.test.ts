/** What the guard says of a member that it could stop only in part. */
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.ts';
import { Ward } from '../../../src/fence/guard/ward.ts';
import { FencedMember } from '../../../src/fence/member.ts';
import { Layer } from './support/layer.ts';

class Unstoppable extends Layer {
  override async stop(): Promise<void> {
    throw new Error('can not be suspended');
  }
}

/** One member that stops, and one whose device can't be suspended below its filesystem. */
async function freezeInPart(thaws: readonly boolean[]) {
  const healthy = new Layer();
  const filesystem = new Layer(thaws);
  const members = [new FencedMember([healthy]), new FencedMember([filesystem, new Unstoppable()])];
  const free: number[][] = [];
  const watcher = { free: (places: readonly number[]) => void free.push([...places]), expired: async () => undefined };
  const ward = new Ward(members, systemClock, watcher);
  const outcome = await ward.freeze(systemClock.monotonicMs() + 600_000).catch((error: Error) => error.message);
  return { ward, healthy, filesystem, free, outcome };
}

describe('a filesystem whose device can not be suspended', () => {
  test('is thawed, and told to be free before the others are', async () => {
    const { healthy, filesystem, free, outcome } = await freezeInPart([]);
    expect(outcome).toBe('can not be suspended');
    expect([healthy.stopped, filesystem.stopped]).toEqual([false, false]);
    expect(free).toEqual([[1], [0, 1]]);
  });

  test('and is thawed only at the second try is free from then on', async () => {
    const { healthy, filesystem, free, outcome } = await freezeInPart([false]);
    expect(outcome).toBe('can not be suspended');
    expect([healthy.stopped, filesystem.stopped]).toEqual([false, false]);
    expect(free).toEqual([[0, 1]]);
  });

  test('and can not be thawed is never told to be free: the agent is to thaw it', async () => {
    const { ward, healthy, filesystem, free, outcome } = await freezeInPart([false, false]);
    expect(outcome).toBe('can not be thawed');
    expect([healthy.stopped, filesystem.stopped]).toEqual([false, true]);
    expect(free).toEqual([]);
    await expect(ward.end()).rejects.toThrow('can not be thawed');
  });
});
