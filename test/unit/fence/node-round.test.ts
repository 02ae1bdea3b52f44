/** The node's side of rounds: in which order things are done and undone, and who has to wait for what meanwhile. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { LEASE_MS, NodeWorld } from './support/node-world.ts';

const broken = new DriverError('internal', 'the disk is on fire');

// Timers are told when it is late; everything else takes turns of the event loop.
beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

/** Past whatever can go on now. */
async function aWhile(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

async function pass(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
  await aWhile();
}

describe('an abort that fails and that nobody waits for is told', () => {
  test('after a cut that failed: the coordinator hears of the cut', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    const cutFailed = new DriverError('aborted', 'no');
    world.failAt('cutMember', cutFailed);
    world.failAt('abortCut', broken);
    await expect(world.rounds.cut(token)).rejects.toBe(cutFailed);
    expect(world.notCleanedUp).toEqual([broken]);
    expect(world.locks.size).toBe(0);
  });

  test.each(['prepare', 'freeze'] as const)('when nobody leads it on after its %s', async (last) => {
    const world = new NodeWorld();
    await world.until(last, world.plan());
    world.failAt('abortCut', broken);
    await pass(3_600_000);
    expect(world.notCleanedUp).toEqual([broken]);
    expect(world.locks.size).toBe(0);
  });

  test('when it is a snapshot that nobody commits', async () => {
    const world = new NodeWorld();
    await world.until('cut', world.plan('none'));
    world.failAt('abortCut', broken);
    await pass(2 * LEASE_MS);
    expect(world.notCleanedUp).toEqual([broken]);
    expect(world.locks.size).toBe(0);
  });
});

describe('an abort that comes while members are being cut', () => {
  test('thaws at once, and deletes nothing before the cut is over; the cut does not count', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    const gate = world.stopAt('cutMember');
    const cut = expect(world.rounds.cut(token)).rejects.toMatchObject({ code: 'aborted' });
    await gate.reached;
    const abort = world.rounds.abort(token);
    await aWhile();
    expect(world.events.at(-1)).toBe('thaw');
    expect(world.locks.size).toBeGreaterThan(0);
    gate.open();
    await Promise.all([cut, abort]);
    const events = world.events.slice(world.events.indexOf('thaw'));
    expect(events).toEqual(['thaw', 'cutMember', 'cutMember', 'abortCut ▶', 'abortCut']);
    expect(world.sealed.size).toBe(0);
    expect(world.locks.size).toBe(0);
    expect(world.notCleanedUp).toEqual([]);
  });

  test('waits for it also when it fails', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    const gate = world.stopAt('cutMember');
    world.failAt('cutMember', broken);
    const cut = expect(world.rounds.cut(token)).rejects.toBe(broken);
    await gate.reached;
    const abort = world.rounds.abort(token);
    await aWhile();
    expect(world.events).not.toContain('abortCut ▶');
    gate.open();
    await Promise.all([cut, abort]);
    expect(world.locks.size).toBe(0);
  });

  test('deletes what was being sealed when it is sealed', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    const gate = world.stopAt('sealCut');
    const cut = expect(world.rounds.cut(token)).rejects.toMatchObject({ code: 'aborted' });
    await gate.reached;
    const abort = world.rounds.abort(token);
    await aWhile();
    expect(world.events).not.toContain('abortCut ▶');
    gate.open();
    await Promise.all([cut, abort]);
    expect(world.events.indexOf('sealCut')).toBeLessThan(world.events.indexOf('abortCut'));
    expect(world.sealed.size).toBe(0);
  });

  test('keeps what was cut from being sealed, also when it could not thaw', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    const gate = world.stopAt('cutMember');
    world.failAt('thaw', broken);
    const cut = expect(world.rounds.cut(token)).rejects.toBe(broken);
    await gate.reached;
    const abort = expect(world.rounds.abort(token)).rejects.toBe(broken);
    await aWhile();
    expect(world.locks.size).toBeGreaterThan(0);
    gate.open();
    await Promise.all([cut, abort]);
    expect(world.events).not.toContain('sealCut ▶');
  });
});

test('a cut during which somebody else let a member go does not count', async () => {
  const world = new NodeWorld();
  const { token } = await world.until('freeze', world.plan());
  world.held = false;
  await expect(world.rounds.cut(token)).rejects.toMatchObject({ code: 'aborted' });
  expect(world.events).not.toContain('sealCut ▶');
  expect(world.events.at(-1)).toBe('abortCut');
});
