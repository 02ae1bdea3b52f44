import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { newToken, type RoundPlan } from '../../../src/core/round.ts';
import { makeFilesystem } from '../../../src/host/filesystem.ts';
import { Lateness } from '../../support/lateness.ts';
import { NodeProcess } from '../../support/node-process.ts';
import { Rcu } from '../../support/rcu.ts';
import { LEASE_MS, members, type RigOptions, VOLUME_BYTES } from '../../support/rig.ts';
import { eventually, Scratch, thawIfFrozen } from '../../support/scratch.ts';
import { stallDisk, stuckWriter } from '../../support/stalled-disk.ts';

/** For what must happen at the end of a lease. */
export const SHORT_LEASE_MS = 1500;
/** What is promised on top of the lease. */
const GRACE_MS = 1000;

export interface WindowOptions {
  readonly leaseMs?: number;
  /** Of a guard that is not the agent's child. */
  readonly guardSocket?: string;
  /** As the end of a container ends all that is in it. */
  readonly container?: boolean;
  /** The caller's, with a folder in it for the mounts; its own unless given. */
  readonly place?: { readonly scratch: Scratch; readonly folder: string };
}

/** Two mounted volumes of an agent in a process of its own, frozen by a round of it. */
export class Window implements AsyncDisposable {
  readonly scratch: Scratch;
  readonly rcu: Rcu;
  readonly lateness: Lateness;
  readonly mountPoints: readonly string[];
  readonly plan: RoundPlan;
  agent: NodeProcess;
  guard = 0;
  readonly #options: RigOptions;
  readonly #resources: AsyncDisposableStack;
  #startMs = 0;

  private constructor(
    scratch: Scratch,
    rcu: Rcu,
    agent: NodeProcess,
    mountPoints: readonly string[],
    plan: RoundPlan,
    options: RigOptions,
    resources: AsyncDisposableStack,
  ) {
    this.scratch = scratch;
    this.rcu = rcu;
    this.agent = agent;
    this.mountPoints = mountPoints;
    this.plan = plan;
    this.lateness = resources.use(Lateness.watch(scratch));
    this.#options = options;
    this.#resources = resources;
  }

  static async open({ leaseMs = LEASE_MS, guardSocket, container, place }: WindowOptions = {}): Promise<Window> {
    await using resources = new AsyncDisposableStack();
    const rcu = resources.use(await Rcu.lowered());
    const scratch = place?.scratch ?? resources.use(await Scratch.open());
    const options = { leaseMs, ...(guardSocket !== undefined && { guardSocket }) };
    const agent = await NodeProcess.start(scratch, scratch.path('data'), options, { container: container === true });
    const ids: string[] = [];
    const mountPoints: string[] = [];
    for (const name of ['one', 'two']) {
      const { id } = await agent.call('create', name, VOLUME_BYTES.ext4);
      const device = await agent.call('attach', id, { readOnly: false });
      await makeFilesystem(device.path, 'ext4');
      await agent.call('setContent', id, { kind: 'filesystem', fsType: 'ext4', identity: 'own' });
      mountPoints.push(await scratch.mount(`${place?.folder ?? '.'}/${name}`, device.path, 'ext4'));
      ids.push(id);
    }
    const plan = {
      token: newToken(),
      name: 'group',
      group: { id: `group-${'a'.repeat(26)}`, name: 'group', volumeIds: ids, parameters: {} },
      members: members('group', ids),
      leaseMs,
      fenced: true,
    };
    return new Window(scratch, rcu, agent, mountPoints, plan, options, resources.move());
  }

  /** From here on both are frozen. */
  async freeze(): Promise<void> {
    await this.agent.call('prepare', this.plan);
    if (this.#options.guardSocket === undefined) this.guard = await this.agent.guard();
    await this.beginFreeze();
    await this.rcu.expectRaised();
  }

  async beginFreeze(): Promise<void> {
    this.#startMs = performance.now();
    await this.agent.call('freeze', this.plan.token);
  }

  /** Resolves when all take writes again. @returns how long they were frozen at most, milliseconds */
  async untilThawed(): Promise<number> {
    const writers = this.mountPoints.map((mountPoint) => this.scratch.writer(`${mountPoint}/written`));
    await Promise.all(writers.map(({ done }) => done));
    return performance.now() - this.#startMs;
  }

  async expectStillFrozen(): Promise<void> {
    const writer = this.scratch.writer(`${this.mountPoints[0]}/still-frozen`);
    await sleep(200);
    expect(writer.ended).toBe(false);
  }

  async expectThawedWithinLease(): Promise<void> {
    const frozenMs = await this.untilThawed();
    expect(frozenMs - 2 * this.lateness.worstMs).toBeLessThan(this.plan.leaseMs + GRACE_MS);
  }

  /** Freezes, and the call for the first member waits in the kernel for its disk. @returns what lets that go on */
  async stickFreeze(): Promise<AsyncDisposable> {
    const [first = '', second = ''] = this.mountPoints;
    const disk = await stallDisk(this.scratch.path('data', 'pool'));
    await stuckWriter(this.scratch, first);
    this.beginFreeze().catch(() => undefined);
    await eventually('the other is frozen', async () => {
      const writer = this.scratch.writer(`${second}/frozen`);
      await Promise.race([writer.done, sleep(300)]);
      return !writer.ended;
    });
    return disk;
  }

  /** That the next start does not serve before the disk has gone on, and leaves nothing frozen. */
  async expectStartWaits(disk: AsyncDisposable): Promise<void> {
    const start = this.restart();
    start.catch(() => undefined);
    await sleep(2000);
    await disk[Symbol.asyncDispose]();
    const { log } = await start;
    for (const mountPoint of this.mountPoints) expect(await thawIfFrozen(mountPoint)).toBe(false);
    expect(await this.agent.call('journal')).toEqual([]);
    expect(log).toContain('a guard may still freeze what an earlier process was freezing: waiting for its end');
  }

  /** As after a crash of the agent: another one opens the same data folder. */
  async restart(options: RigOptions = {}): Promise<NodeProcess> {
    this.agent = await NodeProcess.start(this.scratch, this.scratch.path('data'), {
      ...this.#options,
      ...options,
    });
    return this.agent;
  }

  /** Nothing of the round is there, and rounds work. */
  async expectNothingOfIt(): Promise<void> {
    expect(await this.agent.call('snapshots')).toEqual([]);
    await this.rcu.expectPutBack();
    const volumes = this.plan.members.map(({ volumeId }) => volumeId);
    const record = await this.agent.call('group', 'another', volumes);
    expect(record.evidence.map(({ quiescence }) => quiescence)).toEqual(['frozen', 'frozen']);
    expect(await this.agent.call('snapshots')).toHaveLength(2);
    for (const mountPoint of this.mountPoints) expect(await thawIfFrozen(mountPoint)).toBe(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    await this.#resources[Symbol.asyncDispose]();
  }
}
