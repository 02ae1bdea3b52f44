/**
 * Faults at every step of a round over three nodes. A failpoint stops the process that is at the step, so that what
 * happens there happens there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { isErrno } from '../../src/core/errors.ts';
import { codeOf } from '../support/csi.ts';
import { eventually } from '../support/scratch.ts';
import { hasEnded } from '../support/serve.ts';
import { ClusterWorld } from './world.ts';

/** Long enough for a busy machine: a lease that runs out fails a round. */
export const LEASE_MS = 2000;
/** What may be between the end of a lease and the thaw. */
const AFTER_LEASE_MS = 1000;

const NODE_STEPS = ['prepare', 'freeze', 'frozen', 'cut', 'thawed', 'sealed', 'committed'].map(
  (step) => `round.${step}`,
);
const CONTROLLER_STEPS = ['prepared-home', 'prepared', 'frozen', 'decide', 'decided'].map(
  (step) => `coordinator.${step}`,
);
const KINDS = [
  'is killed',
  'is told to end',
  'has its guard killed',
  'stops for longer than the lease',
  'is cut off',
] as const;
/** The first is the home of every group: it has the least name. */
const NODES = ['node-1', 'node-2'] as const;
const CONTROLLER = 'controller-1';

export interface Strike {
  readonly victim: string;
  readonly kind: (typeof KINDS)[number];
}

export interface Fault extends Strike {
  /** The failpoint, and the process that is at it. */
  readonly step: string;
  readonly at: string;
}

export const STRIKES: readonly Strike[] = [CONTROLLER, ...NODES].flatMap((victim) =>
  KINDS.filter((kind) => victim !== CONTROLLER || kind !== 'has its guard killed').map((kind) => ({ victim, kind })),
);

/** Every fault of every process at every step. */
export const FAULTS: readonly Fault[] = [
  ...NODE_STEPS.flatMap((step) => NODES.map((at) => ({ step, at }))),
  ...CONTROLLER_STEPS.map((step) => ({ step, at: CONTROLLER })),
].flatMap((where) => STRIKES.map((strike) => ({ ...where, ...strike })));

let groups = 0;

/** A group snapshot meets the fault where it is at that step. */
export async function meet(world: ClusterWorld, { step, at, ...strike }: Fault): Promise<void> {
  await endure(world, async (name) => {
    const { cluster } = world;
    cluster.arm(at, `${step}=stop`);
    const code = codeOf(world.group(name));
    await cluster.stopped(at);
    cluster.arm(at, '');
    await hit(world, strike, at);
    return await code;
  });
}

/** A group snapshot meets the fault so many milliseconds after its call, wherever it is then. */
export async function meetAfter(world: ClusterWorld, ms: number, strike: Strike): Promise<void> {
  await endure(world, async (name) => {
    const code = codeOf(world.group(name));
    await sleep(ms);
    await hit(world, strike);
    return await code;
  });
}

/**
 * A group snapshot is struck; then everybody is well again. Nothing was frozen for too long, the group is there whole or
 * not at all, the same call again gives a right answer, and after a deletion nothing is left on any node.
 * @param struck takes the group snapshot of this name; @returns the code of its call
 */
async function endure(world: ClusterWorld, struck: (name: string) => Promise<string>): Promise<void> {
  const { cluster, writers } = world;
  const before = await world.footprint();
  const name = `group-${++groups}`;
  writers.longestStall();
  const code = await struck(name);
  await cluster.restart();
  await writers.expectWriting();
  writers.expectNoStall(LEASE_MS + AFTER_LEASE_MS);

  // It exists when its home has it; others may lack their part until somebody finishes it.
  const committed = await world.committedOn(name);
  expect(committed.length === 0 || committed.includes('node-1')).toBe(true);
  if (code === 'ok') expect(committed).toEqual(cluster.nodes);
  await expectRetry(world, name);
  await world.settled(before);
}

/** @param stopped a process that goes on once the victim is hit */
async function hit(world: ClusterWorld, { victim, kind }: Strike, stopped?: string): Promise<void> {
  const { cluster } = world;
  const { host } = cluster.member(victim);
  const goOn = () => stopped !== undefined && cluster.proceed(stopped);
  switch (kind) {
    case 'is killed':
      await cluster.kill(victim);
      goOn();
      break;
    case 'is told to end': {
      // It may be the one that stands still, or wait for that one.
      const ended = cluster.end(victim);
      goOn();
      await ended;
      break;
    }
    case 'has its guard killed': {
      const guard = await world.guardOf(victim);
      if (guard !== undefined) await end(guard);
      goOn();
      break;
    }
    case 'stops for longer than the lease':
      cluster.halt(victim);
      if (victim !== stopped) goOn();
      await sleep(LEASE_MS + AFTER_LEASE_MS);
      cluster.proceed(victim);
      break;
    case 'is cut off':
      await host.cutOff();
      goOn();
      await sleep(LEASE_MS + AFTER_LEASE_MS);
      await host.rejoin();
      break;
  }
}

async function expectRetry(world: ClusterWorld, name: string): Promise<void> {
  const { cluster, volumeIds } = world;
  const { groupSnapshot } = await world.insist(() => world.group(name));
  const snapshots = groupSnapshot?.snapshots ?? [];
  expect(snapshots.map(({ sourceVolumeId }) => sourceVolumeId).toSorted()).toEqual(volumeIds.toSorted());
  expect(groupSnapshot?.readyToUse).toBe(true);
  expect(await world.committedOn(name)).toEqual(cluster.nodes);
  const groupSnapshotId = groupSnapshot?.groupSnapshotId ?? '';
  const snapshotIds = snapshots.map(({ snapshotId }) => snapshotId);
  await world.insist(() => cluster.csi().group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds }));
  const { entries } = await cluster.csi().controller.ListSnapshots({});
  expect(entries).toEqual([]);
}

async function end(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error; // it has just ended
  }
  await eventually('the guard ends', () => hasEnded(pid));
}

/** One world for many faults, since making one takes seconds; a fault that is not met gets rid of it. */
export class SharedClusterWorld implements AsyncDisposable {
  #world: ClusterWorld | undefined;

  async use(work: (world: ClusterWorld) => Promise<void>): Promise<void> {
    this.#world ??= await ClusterWorld.open({ leaseMs: LEASE_MS });
    try {
      await work(this.#world);
    } catch (cause) {
      const logs = await this.#world.cluster.logs();
      await this[Symbol.asyncDispose]();
      throw new Error(`the logs end with:\n${logs}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const world = this.#world;
    this.#world = undefined;
    await world?.[Symbol.asyncDispose]();
  }
}
