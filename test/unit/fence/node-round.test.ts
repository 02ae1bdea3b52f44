/** The node's side of rounds: in which order things are done and undone, and who has to wait for what meanwhile. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { silenceLimitMs } from '../../../src/fence/signs-of-life.ts';
import { LEASE_MS, NodeWorld } from './support/node-world.ts';
import { aWhile, pass, tellTimers } from './support/timers.ts';

const NEVER = new AbortController().signal;
const LIMIT_MS = silenceLimitMs(LEASE_MS);
const broken = new DriverError('internal', 'the disk is on fire');

beforeEach(tellTimers);
afterEach(() => void jest.useRealTimers());

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
    await pass(LIMIT_MS);
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

describe('what is prepared', () => {
  test('is given up when nothing is heard of its coordinator, and the group can be made again', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('prepare', world.plan());
    await expect(world.until('prepare', world.plan())).rejects.toMatchObject({ code: 'aborted' });
    await pass(LIMIT_MS);
    expect(world.events.slice(-4)).toEqual(['thaw ▶', 'thaw', 'abortCut ▶', 'abortCut']);
    await expect(world.rounds.freeze(token)).rejects.toMatchObject({ code: 'aborted' });
    await world.until('cut', world.plan());
  });

  test('waits for as long as it hears that its coordinator lives, and then freezes as ever', async () => {
    const world = new NodeWorld();
    const plan = world.plan();
    await world.rounds.prepare(plan, NEVER);
    for (let i = 0; i < 12; i++) {
      await pass(LIMIT_MS / 2);
      world.rounds.wait(plan.token);
    }
    await world.rounds.freeze(plan.token);
    expect(() => world.rounds.wait(plan.token)).toThrow('is too late');
    await world.rounds.cut(plan.token);
  });

  test('is not begun by a sign of life: what is found now may differ from what was answered', async () => {
    const world = new NodeWorld();
    const plan = world.plan();
    // As after a restart.
    expect(() => world.rounds.wait(plan.token)).toThrow('is not known here');
    expect(world.events).toEqual([]);
    await expect(world.rounds.freeze(plan.token)).rejects.toMatchObject({ code: 'aborted' });
  });
});
