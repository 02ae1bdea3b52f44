/** How rounds end on a node: told, settled, given up, stopped; and what else may go on until then. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { lockKeysOf } from '../../../src/core/ids.ts';
import type { RoundPlan } from '../../../src/core/round.ts';
import { silenceLimitMs } from '../../../src/fence/signs-of-life.ts';
import { LEASE_MS, NodeWorld, VOLUMES } from './support/node-world.ts';
import { aWhile, pass, tellTimers } from './support/timers.ts';

const NEVER = new AbortController().signal;
const aborted = { code: 'aborted' };
const broken = new DriverError('internal', 'the disk is on fire');
const OVERDUE_MS = silenceLimitMs(LEASE_MS) + 1;

beforeEach(tellTimers);
afterEach(() => void jest.useRealTimers());

/** What a round has taken: its members, its names. */
function heldBy(
  world: NodeWorld,
  { members, group }: RoundPlan,
): { readonly volumes: boolean; readonly names: boolean } {
  const isHeld = (...ids: readonly string[]) => {
    try {
      world.locks.acquire('test', { exclusive: lockKeysOf(...ids) })[Symbol.dispose]();
      return false;
    } catch {
      return true;
    }
  };
  const names = [...members.map(({ snapshotId }) => snapshotId), ...(group ? [group.id] : [])];
  const volumes = VOLUMES.filter((id) => members.some(({ volumeId }) => volumeId === id));
  return { volumes: volumes.every((id) => isHeld(id)), names: names.every((id) => isHeld(id)) };
}

describe('a round has', () => {
  test('its members until its cut is sealed, and its names until it is over', async () => {
    const world = new NodeWorld();
    const plan = world.plan();
    await world.until('prepare', plan);
    expect(heldBy(world, plan)).toEqual({ volumes: true, names: true });
    await world.rounds.freeze(plan.token);
    const gate = world.stopAt('sealCut');
    const cut = world.rounds.cut(plan.token);
    await gate.reached;
    expect(heldBy(world, plan)).toEqual({ volumes: true, names: true });
    gate.open();
    await cut;
    expect(heldBy(world, plan)).toEqual({ volumes: false, names: true });
    await world.rounds.commit(plan.token);
    expect(world.locks.size).toBe(0);
  });

  test('both while it is being prepared, and nothing when that fails', async () => {
    const world = new NodeWorld();
    const plan = world.plan();
    const gate = world.stopAt('prepareCut');
    world.failAt('arm', broken);
    const prepared = expect(world.rounds.prepare(plan, NEVER)).rejects.toBe(broken);
    await gate.reached;
    expect(heldBy(world, plan)).toEqual({ volumes: true, names: true });
    gate.open();
    await prepared;
    expect(world.events.at(-1)).toBe('abortCut');
    expect(world.locks.size).toBe(0);
  });
});

describe('an abort while it is being prepared', () => {
  test.each(['prepareCut', 'arm'] as const)('at %s waits until it has undone itself', async (step) => {
    const world = new NodeWorld();
    const plan = world.plan();
    const gate = world.stopAt(step);
    const prepared = expect(world.rounds.prepare(plan, NEVER)).rejects.toMatchObject(aborted);
    await gate.reached;
    let isOver = false;
    const abort = world.rounds.abort(plan.token).then(() => {
      isOver = true;
    });
    await aWhile();
    expect(isOver).toBe(false);
    gate.open();
    await Promise.all([prepared, abort]);
    expect(world.locks.size).toBe(0);
    await expect(world.rounds.prepare(plan, NEVER)).rejects.toMatchObject(aborted);
  });

  test('a prepare beside the first is refused', async () => {
    const world = new NodeWorld();
    const plan = world.plan();
    const gate = world.stopAt('prepareCut');
    const first = world.rounds.prepare(plan, NEVER);
    await gate.reached;
    await expect(world.rounds.prepare(plan, NEVER)).rejects.toMatchObject(aborted);
    gate.open();
    await first;
  });

  test('or before it: a prepare that comes late is refused', async () => {
    const world = new NodeWorld();
    const plan = world.plan();
    await world.rounds.abort(plan.token);
    await expect(world.rounds.prepare(plan, NEVER)).rejects.toMatchObject(aborted);
    expect(world.events).not.toContain('prepareCut');
  });
});

describe('a commit that failed', () => {
  test('can be tried again', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan());
    world.failAt('commitCut', broken);
    await expect(world.rounds.commit(token)).rejects.toBe(broken);
    expect(world.locks.size).toBeGreaterThan(0);
    expect(await world.rounds.commit(token)).toMatchObject({ token });
    expect(await world.rounds.commit(token)).toMatchObject({ token });
    expect(world.locks.size).toBe(0);
  });

  test('or the round aborted', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan());
    world.failAt('commitCut', broken);
    await expect(world.rounds.commit(token)).rejects.toBe(broken);
    await world.rounds.abort(token);
    expect(world.sealed.size).toBe(0);
    await expect(world.rounds.commit(token)).rejects.toMatchObject(aborted);
  });

  test('after it had been made can not be aborted, and is answered again', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan());
    world.failsCommitted = broken;
    await expect(world.rounds.commit(token)).rejects.toBe(broken);
    await expect(world.rounds.abort(token)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await world.rounds.commit(token)).toMatchObject({ token });
    expect(world.locks.size).toBe(0);
  });
});

test('an abort that comes during a commit has its turn after it, and is refused', async () => {
  const world = new NodeWorld();
  const { token } = await world.until('cut', world.plan());
  const gate = world.stopAt('commitCut');
  const commit = world.rounds.commit(token);
  const abort = expect(world.rounds.abort(token)).rejects.toMatchObject({ code: 'failed-precondition' });
  await gate.reached;
  gate.open();
  expect(await commit).toMatchObject({ token });
  await abort;
});

describe('when its time is over, a round that is', () => {
  test('frozen is thawed and undone, and its lease counts as lost', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    await pass(LEASE_MS);
    expect(world.events.slice(-4)).toEqual(['thaw ▶', 'thaw', 'abortCut ▶', 'abortCut']);
    expect(world.leasesLost).toBe(1);
    expect(world.locks.size).toBe(0);
    await expect(world.rounds.cut(token)).rejects.toMatchObject(aborted);
  });

  test('as if frozen, with members that nobody uses, is undone after the leases of all others', async () => {
    const world = new NodeWorld();
    world.idle = true;
    await world.until('freeze', world.plan());
    await pass(OVERDUE_MS - 2);
    expect(world.events).not.toContain('abortCut ▶');
    await pass(2);
    expect(world.events.at(-1)).toBe('abortCut');
    expect(world.leasesLost).toBe(0);
  });

  test('being cut is left to its cut, which finds out', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    const gate = world.stopAt('cutMember');
    const cut = expect(world.rounds.cut(token)).rejects.toMatchObject(aborted);
    await gate.reached;
    await pass(LEASE_MS + 1);
    expect(world.events).not.toContain('abortCut ▶');
    gate.open();
    await cut;
    expect(world.leasesLost).toBe(1);
    expect(world.events.at(-1)).toBe('abortCut');
  });

  test('sealed waits for the home of its group, however long', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan());
    await pass(3_600_000);
    expect(await world.rounds.commit(token)).toMatchObject({ token });
  });

  test('sealed, of no group, is given up', async () => {
    const world = new NodeWorld();
    await world.until('cut', world.plan('none'));
    await pass(OVERDUE_MS);
    expect(world.sealed.size).toBe(0);
    expect(world.locks.size).toBe(0);
  });

  test('sealed, of no group, is given up also when its commit has failed meanwhile', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan('none'));
    world.failAt('commitCut', broken);
    const gate = world.stopAt('commitCut');
    const commit = expect(world.rounds.commit(token)).rejects.toBe(broken);
    await gate.reached;
    await pass(OVERDUE_MS);
    gate.open();
    await commit;
    expect(world.sealed.has(token)).toBe(true);
    await pass(OVERDUE_MS);
    expect(world.sealed.size).toBe(0);
    expect(world.locks.size).toBe(0);
  });

  test('committed stays', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan('none'));
    await world.rounds.commit(token);
    await pass(OVERDUE_MS);
    expect(world.committed.has(token)).toBe(true);
  });
});

describe('asked by a stranger, the home says of a round', () => {
  test.each(['prepare', 'cut'] as const)(
    'after its %s: pending; when it is overdue: aborted, and it is',
    async (last) => {
      const world = new NodeWorld();
      const { token } = await world.until(last, world.plan('here'));
      await pass(OVERDUE_MS - 2);
      expect(await world.rounds.settle(token)).toBe('pending');
      await pass(2);
      expect(await world.rounds.settle(token)).toBe('aborted');
      expect(world.locks.size).toBe(0);
      await expect(world.rounds.commit(token)).rejects.toMatchObject(aborted);
    },
  );

  test.each(['prepare', 'cut'] as const)(
    'after its %s: pending, for as long as it hears that its coordinator lives',
    async (last) => {
      const world = new NodeWorld();
      const { token } = await world.until(last, world.plan('here'));
      for (let i = 0; i < 10; i++) {
        await pass(OVERDUE_MS / 2);
        expect(await world.rounds.settle(token)).toBe('pending');
        world.rounds.wait(token);
      }
      await pass(OVERDUE_MS);
      expect(await world.rounds.settle(token)).toBe('aborted');
    },
  );

  test('that it has committed: that', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan('here'));
    await world.rounds.commit(token);
    expect(await world.rounds.settle(token)).toBe('committed');
  });

  test('that it does not know: aborted, and it can not begin any more', async () => {
    const world = new NodeWorld();
    const plan = world.plan('here');
    expect(await world.rounds.settle(plan.token)).toBe('aborted');
    await expect(world.rounds.prepare(plan, NEVER)).rejects.toMatchObject(aborted);
  });

  test('that it could not undo: nothing', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan('here'));
    await pass(OVERDUE_MS);
    world.failAt('abortCut', broken);
    await expect(world.rounds.settle(token)).rejects.toBe(broken);
    expect(await world.rounds.settle(token)).toBe('aborted');
  });
});

describe('an agent that stops', () => {
  test.each(['prepare', 'freeze'] as const)('undoes what has come to its %s', async (last) => {
    const world = new NodeWorld();
    await world.until(last, world.plan());
    await world.rounds[Symbol.asyncDispose]();
    expect(world.events.slice(-4)).toEqual(['thaw ▶', 'thaw', 'abortCut ▶', 'abortCut']);
    expect(world.locks.size).toBe(0);
  });

  test('thaws at once what is being cut, and undoes it when it is cut', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('freeze', world.plan());
    const gate = world.stopAt('cutMember');
    const cut = expect(world.rounds.cut(token)).rejects.toMatchObject(aborted);
    await gate.reached;
    const stopped = world.rounds[Symbol.asyncDispose]();
    await aWhile();
    expect(world.events.at(-1)).toBe('thaw');
    gate.open();
    await Promise.all([cut, stopped]);
    expect(world.events.at(-1)).toBe('abortCut');
  });

  test.each(['here', 'elsewhere'] as const)('keeps what is sealed, of a group whose home is %s', async (home) => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan(home));
    await world.rounds[Symbol.asyncDispose]();
    expect(world.events).not.toContain('abortCut ▶');
    expect([...world.sealed.keys()]).toEqual([token]);
    expect(world.locks.size).toBe(0);
  });

  test('lets a commit that is under way be made', async () => {
    const world = new NodeWorld();
    const { token } = await world.until('cut', world.plan());
    const gate = world.stopAt('commitCut');
    const commit = world.rounds.commit(token);
    await gate.reached;
    const stopped = world.rounds[Symbol.asyncDispose]();
    await aWhile();
    gate.open();
    await Promise.all([commit, stopped]);
    expect(world.committed.has(token)).toBe(true);
  });

  test('says so when it could not undo something, and undoes the rest', async () => {
    const world = new NodeWorld();
    const [one, other] = [world.plan('none', 'one'), world.plan('none', 'other')];
    await world.until('prepare', one);
    await world.until('prepare', {
      ...other,
      members: other.members.map((each) => ({ ...each, volumeId: VOLUMES[1] ?? '' })),
    });
    world.failAt('abortCut', broken);
    await expect(world.rounds[Symbol.asyncDispose]()).rejects.toBe(broken);
    expect(world.events.filter((event) => event === 'abortCut')).toHaveLength(1);
    expect(world.locks.size).toBe(0);
  });
});
