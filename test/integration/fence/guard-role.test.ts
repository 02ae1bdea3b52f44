/** The guard as a process of its own role: it outlives the agent, and the agent can't kill it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { freezeFilesystem, openForFreeze, thawFilesystem } from '../../../src/host/freeze.ts';
import { bindMount } from '../../../src/host/mount.ts';
import { ROOT } from '../../support/command.ts';
import { GuardRole, type GuardRoleOptions } from '../../support/guard-role.ts';
import { eventually, isRunning, Scratch } from '../../support/scratch.ts';
import { SHORT_LEASE_MS, Window, type WindowOptions } from './frozen-window.ts';

/** Far more than any thaw takes, far less than this lease. */
const LONG_LEASE_MS = 30_000;
const SOON_MS = 15_000;

const RECOVERED = 'thawed what an earlier process had left frozen';
const LOST = { code: expect.stringMatching(/^(aborted|unavailable)$/) };

/** A guard, and an agent that has joined it. */
class Pair implements AsyncDisposable {
  readonly guard: GuardRole;
  readonly window: Window;
  readonly #resources: AsyncDisposableStack;

  private constructor(guard: GuardRole, window: Window, resources: AsyncDisposableStack) {
    this.guard = guard;
    this.window = window;
    this.#resources = resources;
  }

  static async open(options: WindowOptions = {}, role: GuardRoleOptions = {}): Promise<Pair> {
    await using resources = new AsyncDisposableStack();
    const scratch = resources.use(await Scratch.open());
    if (role.container) await shareFolder(scratch.path('kubelet'));
    const guard = resources.use(await GuardRole.start(scratch, role));
    // In one place, which is cleaned when both have ended: what is open in either can't be unmounted.
    const place = { scratch, folder: 'kubelet' };
    const window = resources.use(await Window.open({ ...options, place, guardSocket: guard.socket }));
    return new Pair(guard, window, resources.move());
  }

  /** What comes of the round when its group snapshot is taken in one go. */
  group(): Promise<unknown> {
    const volumes = this.window.plan.members.map(({ volumeId }) => volumeId);
    return this.window.agent.call('group', 'whole', volumes);
  }

  async expectNothingOfIt(): Promise<void> {
    await this.guard.arm('');
    await this.window.expectNothingOfIt();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** What is mounted in it from now on reaches every namespace that is a slave of this one. */
async function shareFolder(folder: string): Promise<void> {
  await mkdir(folder);
  await bindMount(folder, folder, { readOnly: false });
  execFileSync('mount', ['--make-shared', folder]);
}

const journalOf = (window: Window) => window.agent.call('journal');

test('rounds, and rounds after a restart of the guard', async () => {
  await using pair = await Pair.open();
  const { window, guard } = pair;
  await window.freeze();
  await window.expectStillFrozen();
  await window.agent.call('cut', window.plan.token);
  await window.untilThawed();
  await window.agent.call('abort', window.plan.token);
  await window.rcu.expectPutBack();
  expect(await guard.terminate()).toBe(0);
  await expect(pair.group()).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining(guard.socket),
  });
  await guard.restart();
  await pair.expectNothingOfIt();
});

describe('the guard is killed', () => {
  const points = ['guard.armed', 'guard.freeze', 'guard.freeze@2', 'guard.frozen', 'guard.thaw', 'guard.thawed'];
  test.each(points)('at %s: the agent thaws, the round fails, and the next has a new guard', async (point) => {
    await using pair = await Pair.open();
    const { window, guard } = pair;
    const [name, pass] = point.split('@');
    await guard.arm(`${name}=kill${pass === undefined ? '' : `@${pass}`}`);
    await expect(pair.group()).rejects.toMatchObject(LOST);
    await guard.ended();
    await window.untilThawed();
    await window.rcu.expectPutBack();
    expect(await journalOf(window)).toEqual([]);
    await guard.restart();
    await pair.expectNothingOfIt();
  });

  test('while everything is frozen: the agent thaws at once', async () => {
    await using pair = await Pair.open({ leaseMs: LONG_LEASE_MS });
    const { window, guard } = pair;
    await window.freeze();
    await window.expectStillFrozen();
    await guard.kill();
    expect(await window.untilThawed()).toBeLessThan(SOON_MS);
    await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
    await guard.restart();
    await pair.expectNothingOfIt();
  });

  test('after it found a member frozen by somebody else: that one stays theirs', async () => {
    await using pair = await Pair.open({ leaseMs: LONG_LEASE_MS });
    const { window, guard } = pair;
    await window.agent.call('prepare', window.plan);
    await using theirs = await openForFreeze(window.mountPoints[0] ?? '');
    await freezeFilesystem(theirs.fd);
    // The first is refused, and the guard says so; the second takes its time.
    await guard.arm(`guard.freeze=sleep:${SOON_MS}@2`);
    const freezing = window.beginFreeze();
    freezing.catch(() => undefined);
    await sleep(1000);
    await guard.kill();
    await expect(freezing).rejects.toMatchObject(LOST);
    await window.agent.call('abort', window.plan.token);
    expect(await thawFilesystem(theirs.fd)).toBe(true);
    await window.untilThawed();
    await guard.restart();
    await pair.expectNothingOfIt();
  });
});

describe('the agent is killed', () => {
  test.each([
    ['as a process', {}, {}],
    ['with its container, and the guard is in another', { container: true }, { container: true }],
  ])('%s: the guard thaws at once, and the next start finds nothing frozen', async (_, agent, role) => {
    await using pair = await Pair.open({ ...agent, leaseMs: LONG_LEASE_MS }, role);
    const { window, guard } = pair;
    await window.freeze();
    await window.expectStillFrozen();
    await window.agent.kill();
    expect(await window.untilThawed()).toBeLessThan(SOON_MS);
    await window.rcu.expectPutBack();
    expect(isRunning(guard.pid)).toBe(true);
    const { log } = await window.restart();
    expect(log).not.toContain(RECOVERED);
    await pair.expectNothingOfIt();
    expect(await guard.log()).toContain('thawed what an agent had left');
  });

  test('while its freeze is under way: what comes late is undone', async () => {
    await using pair = await Pair.open();
    const { window, guard } = pair;
    await guard.arm('guard.freeze=sleep:1000@2');
    await window.agent.call('prepare', window.plan);
    const freezing = window.beginFreeze().catch(() => undefined);
    await sleep(300);
    await window.agent.kill();
    await freezing;
    await window.expectThawedWithinLease();
    await window.restart();
    await pair.expectNothingOfIt();
  });
});

test.each(['lives', 'is killed'])('the agent is killed while a freeze is stuck, and the guard %s', async (fate) => {
  await using pair = await Pair.open();
  const { window, guard } = pair;
  await window.agent.call('prepare', window.plan);
  const disk = await window.stickFreeze();
  window.agent.stop();
  if (fate === 'is killed') process.kill(guard.pid, 'SIGKILL');
  await window.agent.kill();
  await window.expectStartWaits(disk);
  if (fate === 'is killed') {
    await guard.ended();
    await guard.restart();
  }
  await pair.expectNothingOfIt();
});

test('the agent is stopped past the lease: the guard thaws, and the agent refuses to cut when it goes on', async () => {
  await using pair = await Pair.open({ leaseMs: SHORT_LEASE_MS });
  const { window } = pair;
  await window.freeze();
  window.agent.stop();
  await window.expectThawedWithinLease();
  await window.rcu.expectPutBack();
  await sleep(SHORT_LEASE_MS);
  window.agent.proceed();
  await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
  await window.agent.call('abort', window.plan.token);
  await pair.expectNothingOfIt();
});

describe('the guard is stopped', () => {
  test('while all is frozen: the agent thaws after the lease, and the guard does no harm when it goes on', async () => {
    await using pair = await Pair.open({ leaseMs: SHORT_LEASE_MS });
    const { window, guard } = pair;
    await window.freeze();
    guard.stop();
    await window.expectThawedWithinLease();
    await window.rcu.expectPutBack();
    await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
    guard.proceed();
    await window.agent.call('abort', window.plan.token);
    await pair.expectNothingOfIt();
  });

  test.each([
    ['goes on: it undoes them', 'proceed'],
    ['is killed: the agent undoes what may have come late', 'kill'],
  ] as const)('with freezes in hand, and %s', async (_, what) => {
    await using pair = await Pair.open({ leaseMs: SHORT_LEASE_MS });
    const { window, guard } = pair;
    await window.agent.call('prepare', window.plan);
    // The first freeze is on a thread by then, the second is not.
    await guard.arm('guard.freeze=stop@2');
    const freezing = window.beginFreeze();
    freezing.catch(() => undefined);
    await guard.stopped();
    await window.expectThawedWithinLease();
    await expect(freezing).rejects.toMatchObject(LOST);
    await window.rcu.expectPutBack();
    await sleep(SHORT_LEASE_MS);
    // As long as a freeze may come, the next start must know.
    expect(await journalOf(window)).toHaveLength(1);
    await guard.arm('');
    await guard[what]();
    await eventually('nothing can come any more', async () => (await journalOf(window)).length === 0);
    expect(await window.untilThawed()).toBeGreaterThan(SHORT_LEASE_MS);
    if (what === 'kill') await guard.restart();
    await pair.expectNothingOfIt();
  });

  test('when the cut is done: nobody waits for it with everything frozen, and the cut holds', async () => {
    await using pair = await Pair.open({ leaseMs: LONG_LEASE_MS });
    const { window, guard } = pair;
    await window.freeze();
    guard.stop();
    const cut = window.agent.call('cut', window.plan.token);
    cut.catch(() => undefined);
    expect(await window.untilThawed()).toBeLessThan(SOON_MS);
    guard.proceed();
    const { evidence } = await cut;
    expect(evidence).toHaveLength(2);
    await window.agent.call('abort', window.plan.token);
    await pair.expectNothingOfIt();
  });
});

test('SIGTERM thaws everything before the guard ends', async () => {
  await using pair = await Pair.open({ leaseMs: LONG_LEASE_MS });
  const { window, guard } = pair;
  await window.freeze();
  expect(await guard.terminate()).toBe(0);
  expect(await window.untilThawed()).toBeLessThan(SOON_MS);
  await window.rcu.expectPutBack();
  await expect(window.agent.call('cut', window.plan.token)).rejects.toMatchObject({ code: 'aborted' });
  await guard.restart();
  await pair.expectNothingOfIt();
});

test('two agents at a time: what the one had frozen is thawed with it, the other keeps its own', async () => {
  await using pair = await Pair.open({ leaseMs: LONG_LEASE_MS });
  const { window, guard } = pair;
  await using other = await Window.open({ leaseMs: LONG_LEASE_MS, guardSocket: guard.socket });
  await window.freeze();
  await other.agent.call('prepare', other.plan);
  await other.beginFreeze();
  await window.agent.kill();
  expect(await window.untilThawed()).toBeLessThan(SOON_MS);
  await other.expectStillFrozen();
  const { evidence } = await other.agent.call('cut', other.plan.token);
  expect(evidence).toHaveLength(2);
  await other.agent.call('abort', other.plan.token);
  await window.restart();
  await pair.expectNothingOfIt();
});

test('a guard that lives keeps its socket, only root may use it, and a dead one is replaced', async () => {
  await using scratch = await Scratch.open();
  await using guard = await GuardRole.start(scratch);
  const mode = execFileSync('stat', ['-c', '%a %U', guard.socket], { encoding: 'utf8' }).trim();
  expect(mode).toBe('600 root');
  const argv = [path.join(ROOT, 'src/main.ts'), 'guard', '--guard-socket', guard.socket];
  const second = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  expect(second).toMatchObject({ status: 1, stderr: expect.stringContaining('another process is listening') });
  await guard.kill();
  await guard.restart();
});
