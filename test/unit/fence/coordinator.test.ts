import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { groupId, memberSnapshotId, type VolumeId, volumeId } from '../../../src/core/ids.ts';
import { silenceLimitMs } from '../../../src/fence/signs-of-life.ts';
import type { FakeEvent, Script, Step } from '../support/fake-agents.ts';
import { LEASE_MS, LedWorld, memberOf, NODES } from './support/led-world.ts';
import { aWhile, tellTimers } from './support/timers.ts';

const UNTIL_THE_DECISION = ['prepare', 'freeze', 'cut'] as const;

function lastOf(world: LedWorld, step: Step, at: FakeEvent['at']): number {
  return world.events.findLastIndex((event) => event.step === step && event.at === at);
}

function firstOf(world: LedWorld, step: Step, at: FakeEvent['at']): number {
  return world.events.findIndex((event) => event.step === step && event.at === at);
}

describe('a round that succeeds', () => {
  test('has a barrier between its steps: none begins before all nodes have ended the one before', async () => {
    // Every node is the slowest at one step.
    const world = new LedWorld({
      'node-a': { turns: { prepare: 9 } },
      'node-b': { turns: { freeze: 9 } },
      'node-c': { turns: { cut: 9 } },
    });
    await world.run();
    const steps: readonly Step[] = ['prepare', 'freeze', 'cut', 'commit'];
    for (const [i, step] of steps.entries()) {
      expect(world.asked(step).toSorted()).toEqual(NODES);
      const before = steps[i - 1];
      if (before) expect(lastOf(world, before, 'ended')).toBeLessThan(firstOf(world, step, 'called'));
    }
    expect(world.asked('abort')).toEqual([]);
  });

  test('prepares at home first: what earlier rounds left elsewhere may go only then', async () => {
    const world = new LedWorld({ 'node-a': { turns: { prepare: 5 } } });
    await world.run();
    for (const other of ['node-b', 'node-c']) {
      expect(world.indexOf('node-a', 'prepare', 'ended')).toBeLessThan(world.indexOf(other, 'prepare', 'called'));
    }
  });

  test('freezes and cuts on all nodes at the same time', async () => {
    const world = new LedWorld();
    await world.run();
    for (const step of ['freeze', 'cut'] as const) {
      expect(lastOf(world, step, 'called')).toBeLessThan(firstOf(world, step, 'ended'));
    }
  });

  test('decides by one commit, and only then commits the others', async () => {
    const world = new LedWorld({ 'node-a': { turns: { commit: 5 } } });
    await world.run();
    expect(world.indexOf('node-a', 'commit', 'ended')).toBeLessThan(world.indexOf('node-b', 'commit', 'called'));
    expect(world.indexOf('node-a', 'commit', 'ended')).toBeLessThan(world.indexOf('node-c', 'commit', 'called'));
  });

  test('gives each node its own members in their order, one token, and the lease', async () => {
    const world = new LedWorld();
    const records = await world.run();
    expect(records.map(({ node }) => node)).toEqual(NODES);
    expect(new Set(records.map(({ token }) => token)).size).toBe(1);
    for (const agent of world.agents) {
      const [plan] = [...agent.plans.values()];
      expect(plan).toMatchObject({
        name: 'group',
        leaseMs: LEASE_MS,
        fenced: true,
        group: { id: groupId('node-a', 'group') },
      });
      expect(plan?.members.map((member) => member.volumeId)).toEqual([0, 1].map((i) => memberOf(agent.node, i)));
    }
  });

  test('reports the longest window of its nodes', async () => {
    const world = new LedWorld({ 'node-a': { thawedAtMs: 7 }, 'node-b': { thawedAtMs: 40 }, 'node-c': {} });
    const records = await world.run();
    expect(world.seen.committed).toEqual([{ records, windowMs: 40 }]);
    expect(world.seen.aborted).toEqual([]);
  });

  test('takes a new token every time', async () => {
    const world = new LedWorld();
    const tokens = [await world.run(), await world.run()].map(([record]) => record?.token);
    expect(new Set(tokens).size).toBe(2);
    for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe.each(NODES)('when %s fails', (node) => {
  test.each(UNTIL_THE_DECISION)('to %s, the round is undone everywhere', async (step) => {
    const failure = new DriverError('resource-exhausted', `${step} failed`);
    // The others are slower: what they had begun must be over before it is undone.
    const slow: Script = { turns: { prepare: 6, freeze: 6, cut: 6 } };
    const world = new LedWorld({
      'node-a': slow,
      'node-b': slow,
      'node-c': slow,
      [node]: { fail: { [step]: failure } },
    });
    await expect(world.run()).rejects.toBe(failure);
    await aWhile();
    world.expectNothingLeft();
    expect(world.seen.aborted).toEqual([failure]);
    expect(lastOf(world, step, 'ended')).toBeLessThan(firstOf(world, 'abort', 'called'));
    const next = UNTIL_THE_DECISION[UNTIL_THE_DECISION.indexOf(step) + 1];
    if (next) expect(world.asked(next)).toEqual([]);
  });

  test('its lease by the time all are frozen, nothing is cut', async () => {
    const world = new LedWorld({ [node]: { leaseLeftMs: 0 } });
    await expect(world.run()).rejects.toMatchObject({ code: 'aborted' });
    world.expectNothingLeft();
    expect(world.asked('cut')).toEqual([]);
  });

  test('to undo because it is away, the first failure is the answer and the others are undone', async () => {
    const failure = new DriverError('aborted', 'cut failed');
    const away = new DriverError('unavailable', 'away');
    const other = NODES.find((each) => each !== node) ?? '';
    const world = new LedWorld({
      [node]: { fail: { cut: away, abort: away } },
      [other]: { fail: { freeze: failure } },
    });
    await expect(world.run()).rejects.toBe(failure);
    expect(world.asked('abort').toSorted()).toEqual(NODES);
    for (const agent of world.agents) if (agent.node !== node) expect(agent.undecided).toBe(0);
  });

  test('to undo for another reason, the caller hears of it', async () => {
    const broken = new DriverError('internal', 'disk on fire');
    const away = new DriverError('unavailable', 'away');
    // The nodes that are merely away must not hide it, whichever comes first.
    const others = Object.fromEntries(NODES.map((each) => [each, { fail: { abort: away } }]));
    const world = new LedWorld({ ...others, [node]: { fail: { freeze: new Error('no'), abort: broken } } });
    await expect(world.run()).rejects.toMatchObject({ code: 'internal', cause: broken });
  });
});

describe('the decision', () => {
  test.each(['unavailable', 'deadline-exceeded'] as const)('is not known when the home is %s', async (code) => {
    const failure = new DriverError(code, 'away');
    const world = new LedWorld({ 'node-a': { fail: { commit: failure, abort: failure } } });
    await expect(world.run()).rejects.toBe(failure);
    expect(world.seen).toEqual({ committed: [], aborted: [], undecided: [failure], unfinished: [] });
    // Neither committed nor undone elsewhere: the answer may have been lost on its way.
    expect(world.asked('commit')).toEqual(['node-a']);
    expect(world.asked('abort')).toEqual(['node-a']);
  });

  test('was made when only its answer was lost: the round is finished', async () => {
    const world = new LedWorld({ 'node-a': { loseAnswer: 'commit' } });
    const records = await world.run();
    expect(records.map(({ node }) => node).toSorted()).toEqual(NODES);
    for (const agent of world.agents) expect(agent.committed.size).toBe(1);
    expect(world.seen).toMatchObject({ committed: [{ records }], aborted: [] });
  });

  test('is taken back when the first node could not commit: everything is undone', async () => {
    const failure = new DriverError('internal', 'the disk is on fire');
    const world = new LedWorld({ 'node-a': { fail: { commit: failure } } });
    await expect(world.run()).rejects.toBe(failure);
    expect(world.asked('commit')).toEqual(['node-a']);
    // The home first: what it says decides.
    expect(world.asked('abort').slice(0, 1)).toEqual(['node-a']);
    expect(new Set(world.asked('abort'))).toEqual(new Set(NODES));
    for (const agent of world.agents) expect(agent.undecided).toBe(0);
    expect(world.seen).toEqual({ committed: [], aborted: [failure], undecided: [], unfinished: [] });
  });

  test('can not be taken back when the home can not abort either: it may be made all the same', async () => {
    const failure = new DriverError('internal', 'the disk is on fire');
    const broken = new DriverError('internal', 'still on fire');
    const world = new LedWorld({ 'node-a': { fail: { commit: failure, abort: broken } } });
    await expect(world.run()).rejects.toBe(failure);
    expect(world.asked('abort')).toEqual(['node-a']);
    expect(world.asked('commit')).toEqual(['node-a']);
  });

  test.each(['node-b', 'node-c'])('stands when %s can not commit now: nothing is undone any more', async (node) => {
    const failure = new DriverError('unavailable', 'away');
    const world = new LedWorld({ [node]: { fail: { commit: failure } } });
    await expect(world.run()).rejects.toBe(failure);
    expect(world.asked('abort')).toEqual([]);
    const committed = world.agents.filter((agent) => agent.committed.size === 1).map((agent) => agent.node);
    expect(committed).toEqual(NODES.filter((each) => each !== node));
    expect(world.seen).toEqual({ committed: [], aborted: [], undecided: [], unfinished: [failure] });
  });
});

describe.each(NODES)('a caller who goes away while %s works', (node) => {
  test.each(UNTIL_THE_DECISION)('at %s leaves nothing', async (step) => {
    const caller = new AbortController();
    const gone = new DriverError('cancelled', 'the caller has gone');
    const world = new LedWorld({ [node]: { onCall: (called) => called === step && caller.abort(gone) } });
    await expect(world.run({}, caller.signal)).rejects.toBe(gone);
    world.expectNothingLeft();
  });

  test('at commit gets what was decided', async () => {
    const caller = new AbortController();
    const world = new LedWorld({ [node]: { onCall: (called) => called === 'commit' && caller.abort() } });
    expect(await world.run({}, caller.signal)).toHaveLength(NODES.length);
    for (const agent of world.agents) expect(agent.committed.size).toBe(1);
  });
});

test('a caller who has gone before the start asks for nothing but the undoing', async () => {
  const world = new LedWorld();
  await expect(world.run({}, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  world.expectNothingLeft();
  expect(world.asked('freeze')).toEqual([]);
});

describe('members that can not be fenced', () => {
  const unfenced = (...volumes: readonly VolumeId[]): Script => ({
    quiescence: new Map(volumes.map((volume) => [volume, 'unfenced' as const])),
  });

  test.each(NODES)('the one on %s is cut before any other node begins to cut', async (node) => {
    const world = new LedWorld({ [node]: { ...unfenced(memberOf(node, 1)), turns: { cut: 8 } } });
    await world.run();
    expect(world.asked('cut')[0]).toBe(node);
    for (const other of NODES.filter((each) => each !== node)) {
      expect(world.indexOf(node, 'cut', 'ended')).toBeLessThan(world.indexOf(other, 'cut', 'called'));
    }
    // And after everything else is quiet.
    expect(lastOf(world, 'freeze', 'ended')).toBeLessThan(world.indexOf(node, 'cut', 'called'));
  });

  test('when its cut fails, no other node cuts', async () => {
    const failure = new DriverError('aborted', 'no');
    const world = new LedWorld({ 'node-b': { ...unfenced(memberOf('node-b', 0)), fail: { cut: failure } } });
    await expect(world.run()).rejects.toBe(failure);
    world.expectNothingLeft();
    expect(world.asked('cut')).toEqual(['node-b']);
  });

  test.each([
    ['one node', { 'node-b': unfenced(memberOf('node-b', 0), memberOf('node-b', 1)) }],
    ['two nodes', { 'node-a': unfenced(memberOf('node-a', 1)), 'node-c': unfenced(memberOf('node-c', 0)) }],
  ])('two of them on %s are refused before anything is frozen, by name and with advice', async (_, scripts) => {
    const world = new LedWorld(scripts);
    const failure = await world.run().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'failed-precondition', message: expect.stringContaining('lvm-thin') });
    const named = Object.values(scripts).flatMap(({ quiescence }) => [...(quiescence?.keys() ?? [])]);
    for (const volume of named) expect(String(failure)).toContain(volume);
    world.expectNothingLeft();
    expect(world.asked('freeze')).toEqual([]);
  });

  test('idle ones are no concern', async () => {
    const idle: Script = { quiescence: new Map(NODES.map((node) => [memberOf(node, 0), 'idle' as const])) };
    const world = new LedWorld({ 'node-a': idle, 'node-b': idle, 'node-c': idle });
    expect(await world.run()).toHaveLength(NODES.length);
  });

  test('without a fence, as in the negative control, nothing is refused', async () => {
    const world = new LedWorld({ 'node-b': unfenced(memberOf('node-b', 0), memberOf('node-b', 1)) });
    await world.run({ fenced: false });
    expect([...(world.agents[0]?.plans.values() ?? [])][0]?.fenced).toBe(false);
  });
});

describe('while other nodes are waited for', () => {
  const limitMs = silenceLimitMs(LEASE_MS);
  beforeEach(tellTimers);
  afterEach(() => void jest.useRealTimers());

  test.each(['prepare', 'cut'] as const)(
    'in %s, those that are ready hear from the coordinator often enough to wait for it, and no more after that',
    async (step) => {
      const slow = Promise.withResolvers<void>();
      const world = new LedWorld({ 'node-c': { wait: { [step]: slow.promise } } });
      const done = world.run();
      await aWhile();
      for (let i = 0; i < 6; i++) {
        const before = world.asked('wait').length;
        await jest.advanceTimersByTimeAsync(limitMs / 2);
        const heard = world.asked('wait').slice(before);
        for (const node of ['node-a', 'node-b']) expect(heard).toContain(node);
        if (step === 'prepare') expect(heard).not.toContain('node-c');
      }
      slow.resolve();
      await done;
      const before = world.asked('wait').length;
      await jest.advanceTimersByTimeAsync(10 * limitMs);
      expect(world.asked('wait')).toHaveLength(before);
      expect(world.asked('prepare')).toHaveLength(NODES.length);
    },
  );

  test('what is wrong with one that is prepared shows when it is to freeze', async () => {
    const slow = Promise.withResolvers<void>();
    const gone = new DriverError('aborted', 'it was given up');
    const fail: Partial<Record<Step, Error>> = {};
    const world = new LedWorld({ 'node-a': { fail }, 'node-c': { wait: { prepare: slow.promise } } });
    const done = world.run();
    await aWhile();
    Object.assign(fail, { wait: gone, freeze: gone });
    await jest.advanceTimersByTimeAsync(limitMs);
    slow.resolve();
    await expect(done).rejects.toBe(gone);
    world.expectNothingLeft();
  });
});

test('a member on a node that is not there fails before anybody is asked', async () => {
  const world = new LedWorld();
  const stranger = volumeId('node-z', 'volume');
  const members = [...world.members, { volumeId: stranger, snapshotId: memberSnapshotId('node-z', 'group', stranger) }];
  await expect(world.run({ members })).rejects.toMatchObject({ code: 'unavailable' });
  expect(world.events).toEqual([]);
});
