/** Whatever dies or hangs inside the window, nothing stays frozen past the lease, and no cut is kept that can't be trusted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { messageOf } from '../../../src/core/errors.ts';
import { NodeProcess } from '../../support/node-process.ts';
import { NODE } from '../../support/rig.ts';
import { eventually, isRunning } from '../../support/scratch.ts';
import { SHORT_LEASE_MS, Window } from './frozen-window.ts';

describe('the agent', () => {
  test('is killed: its guard thaws at once, and ends', async () => {
    await using window = await Window.open();
    await window.freeze();
    await window.expectStillFrozen();
    await window.agent.kill();
    await window.expectThawedWithinLease();
    await eventually('the guard ends', () => !isRunning(window.guard));
    await window.rcu.expectPutBack();
    await window.restart();
    await window.expectNothingOfIt();
  });

  test('is killed with a lease that is long: nobody waits for its end', async () => {
    await using window = await Window.open({ leaseMs: 30_000 });
    await window.freeze();
    await window.agent.kill();
    const frozenMs = await window.untilThawed();
    expect(frozenMs).toBeLessThan(20_000);
  });

  test('is killed while its freeze is under way: what comes late is undone', async () => {
    await using window = await Window.open();
    await window.agent.call('prepare', window.plan);
    const freezing = window.beginFreeze().catch(() => undefined);
    await window.agent.kill();
    await freezing;
    await window.expectThawedWithinLease();
    await window.restart();
    await window.expectNothingOfIt();
  });

  test('is stopped past the lease: its guard thaws, and the agent refuses to cut when it goes on', async () => {
    await using window = await Window.open({ leaseMs: SHORT_LEASE_MS });
    await window.freeze();
    window.agent.stop();
    await window.expectStillFrozen();
    await window.expectThawedWithinLease();
    await window.rcu.expectPutBack();
    // Long enough that the round is over by every clock there is.
    await sleep(SHORT_LEASE_MS);
    window.agent.proceed();
    await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
    await expect(window.agent.call('commit', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
    await window.agent.call('abort', window.plan.token);
    await window.expectNothingOfIt();
  });

  test('hangs inside its cut past the lease: the cut is thrown away', async () => {
    await using window = await Window.open({ leaseMs: SHORT_LEASE_MS });
    // Between the first clone and the second.
    await window.agent.call('arm', `snapshot.cut=sleep:${SHORT_LEASE_MS + 500}`);
    await window.freeze();
    const cut = window.agent.call('cut', window.plan.token);
    cut.catch(() => undefined);
    await window.expectThawedWithinLease();
    await expect(cut).rejects.toMatchObject({ code: 'aborted' });
    await window.agent.call('abort', window.plan.token);
    await window.agent.call('arm', 'snapshot.cut=sleep:0');
    await window.expectNothingOfIt();
  });

  test('is stopped between cut and thaw, past the lease: the cut is kept only if it was done in time', async () => {
    await using window = await Window.open({ leaseMs: SHORT_LEASE_MS });
    await window.agent.call('arm', `round.cut=sleep:${SHORT_LEASE_MS + 500}`);
    await window.freeze();
    const cut = window.agent.call('cut', window.plan.token);
    cut.catch(() => undefined);
    await window.expectThawedWithinLease();
    // It was done in time, but the freeze did not hold until the thaw: no proof, no snapshot.
    await expect(cut).rejects.toMatchObject({ code: 'aborted' });
    await expect(window.agent.call('commit', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
  });
});

test('the lease simply ends, because the coordinator never came back', async () => {
  await using window = await Window.open({ leaseMs: SHORT_LEASE_MS });
  await window.freeze();
  await window.expectStillFrozen();
  await window.expectThawedWithinLease();
  await window.rcu.expectPutBack();
  await eventually('the agent gives the round up', async () => {
    const refusal = await window.agent.call('cut', window.plan.token).then(() => 'cut', messageOf);
    expect(refusal).toMatch(/aborted|lease|not known/);
    return refusal.includes('not known');
  });
  await window.expectNothingOfIt();
});

describe('the guard', () => {
  test('is killed: the agent thaws, the round fails, and the next one has a new guard', async () => {
    await using window = await Window.open();
    await window.freeze();
    process.kill(window.guard, 'SIGKILL');
    await window.expectThawedWithinLease();
    await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
    await window.agent.call('abort', window.plan.token);
    await window.expectNothingOfIt();
    expect(await window.agent.guard()).not.toBe(window.guard);
  });

  test('is killed right before the cut: it is thrown away', async () => {
    await using window = await Window.open();
    await window.freeze();
    process.kill(window.guard, 'SIGKILL');
    await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
    await window.expectThawedWithinLease();
    await window.agent.call('abort', window.plan.token);
    await window.expectNothingOfIt();
  });

  test('is stopped: the agent thaws after the lease, and ends it', async () => {
    await using window = await Window.open({ leaseMs: SHORT_LEASE_MS });
    await window.freeze();
    process.kill(window.guard, 'SIGSTOP');
    await window.expectThawedWithinLease();
    await eventually('the guard is ended', () => !isRunning(window.guard));
    await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
    await window.agent.call('abort', window.plan.token);
    await window.expectNothingOfIt();
  });

  test('is stopped before the freeze: the round fails, and nothing is frozen', async () => {
    await using window = await Window.open({ leaseMs: SHORT_LEASE_MS });
    await window.agent.call('prepare', window.plan);
    process.kill(await window.agent.guard(), 'SIGSTOP');
    await expect(window.agent.call('freeze', window.plan.token)).rejects.toThrow();
    await window.agent.call('abort', window.plan.token);
    await window.untilThawed();
    await window.expectNothingOfIt();
  });

  test('is killed between two rounds: the next one starts another', async () => {
    await using window = await Window.open();
    await window.agent.call('prepare', window.plan);
    await window.agent.call('abort', window.plan.token);
    const guard = await window.agent.guard();
    process.kill(guard, 'SIGKILL');
    await eventually('the guard ends', () => !isRunning(guard));
    await window.expectNothingOfIt();
  });
});

describe('both are killed', () => {
  test('and it stays frozen, until the next start thaws it from the journal', async () => {
    await using window = await Window.open({ leaseMs: SHORT_LEASE_MS });
    await window.freeze();
    // Stopped first, so that neither can act on the death of the other.
    window.agent.stop();
    process.kill(window.guard, 'SIGKILL');
    await window.agent.kill();
    await sleep(SHORT_LEASE_MS);
    await window.expectStillFrozen();
    const { log } = await window.restart();
    expect(log).toContain('thawed what an earlier process had left frozen');
    await window.untilThawed();
    await window.rcu.expectPutBack();
    await window.expectNothingOfIt();
  });

  test('after the freeze of only some, or none: the next start finds nothing to do', async () => {
    await using window = await Window.open();
    await window.agent.call('prepare', window.plan);
    window.agent.stop();
    process.kill(await window.agent.guard(), 'SIGKILL');
    await window.agent.kill();
    const { log } = await window.restart();
    expect(log).not.toContain('thawed what an earlier process had left frozen');
    await window.expectNothingOfIt();
  });
});

test('an agent that starts does not thaw what another one, that lives, holds frozen', async () => {
  await using window = await Window.open();
  await window.freeze();
  await using second = await NodeProcess.idle(window.scratch);
  await expect(second.call('open', window.scratch.path('data'), {})).rejects.toMatchObject({
    code: 'failed-precondition',
  });
  await window.expectStillFrozen();
  expect(NODE).toBe('node-a');
  await window.agent.call('cut', window.plan.token);
  await window.agent.call('commit', window.plan.token);
  expect(await window.agent.call('snapshots')).toHaveLength(2);
});
