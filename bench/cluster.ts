/**
 * What it costs to keep the fence over a network: the window of the same number of volumes over more and more agents,
 * beside a driver that is controller and node in one, in the same run; and beside as many drivers that know nothing of each
 * other and are called at the same moment, which is what the processes alone cost that share this machine.
 */
import { startTemporaryCluster } from '../src/app/temporary/cluster.ts';
import { startTemporaryDriver, type TemporaryDriver } from '../src/app/temporary/driver.ts';
import { sweepAbandonedRuns } from '../src/app/temporary/run.ts';
import { MiB } from '../src/core/bytes.ts';
import { readRcuExpedited, writeRcuExpedited } from '../src/host/rcu.ts';
import { createLogger } from '../src/obs/logger.ts';
import { type CsiClient, connectCsi } from '../src/prove/csi-client.ts';
import { DelayedLink } from '../test/support/delayed-link.ts';
import type { Aim, Part, Section } from './support/part.ts';
import { median, ms, rotated } from './support/stats.ts';
import { mountVolumes } from './support/volumes.ts';

const VOLUMES = 16;
const VOLUME_BYTES = 64n * MiB;
const NODES = [1, 2, 4] as const;
const DELAYS_MS = [0, 1] as const;
const REPETITIONS = 15;
/** Beyond the window of one process: freeze is answered, cut is asked for; and as much again for the machine's own pace. */
const ROUND_TRIPS = 2;

interface Setup {
  /** `alone`: controller and node in one process. `side by side`: as many of those, each with its share of the volumes. */
  readonly kind: 'alone' | 'side by side' | 'agents';
  readonly nodes: number;
  /** Each way. */
  readonly delayMs: number;
}

/** Volumes that are cut together. */
interface Group {
  readonly driver: TemporaryDriver;
  readonly client: CsiClient;
  readonly volumeIds: readonly string[];
}

interface Running {
  readonly setup: Setup;
  readonly groups: readonly Group[];
}

interface Result extends Setup {
  readonly windowMs: number;
  readonly callMs: number;
  readonly samples: readonly Sample[];
}

interface Sample {
  readonly windowMs: number;
  readonly callMs: number;
}

const SETUPS: readonly Setup[] = [
  { kind: 'alone', nodes: 1, delayMs: 0 },
  ...NODES.filter((nodes) => nodes > 1).map((nodes) => ({ kind: 'side by side', nodes, delayMs: 0 }) as const),
  ...DELAYS_MS.flatMap((delayMs) => NODES.map((nodes) => ({ kind: 'agents', nodes, delayMs }) as const)),
];

export const cluster: Part = {
  name: 'cluster',
  summary: 'window of 16 volumes over 1, 2 and 4 agents, near and 1 ms away, beside that of drivers without agents',
  run: async ({ options, signal, progress }) => {
    await using resources = new AsyncDisposableStack();
    const logger = createLogger({ level: 'warn', secretFields: [] });
    await sweepAbandonedRuns(logger);
    await expediteRcu(resources);
    const running: Running[] = [];
    for (const setup of SETUPS) {
      progress(`starting ${nameOf(setup)}, ${setup.delayMs} ms away`);
      running.push(await start(setup, signal, resources));
    }
    const samples = new Map<Running, Sample[]>(running.map((each) => [each, []]));
    for (let repetition = 0; repetition < (options.repetitions ?? REPETITIONS); repetition++) {
      progress(`group snapshots, turn ${repetition + 1}`);
      // One after the other, in another order each time: what the machine does meanwhile meets all of them.
      for (const each of rotated(running, repetition)) {
        signal.throwIfAborted();
        samples.get(each)?.push(await measure(each));
      }
    }
    return [report(running.map((each) => resultOf(each.setup, samples.get(each) ?? [])))];
  },
};

/** The switch is the whole machine's: agents that share it must not each put back what they found. */
async function expediteRcu(resources: AsyncDisposableStack): Promise<void> {
  const before = await readRcuExpedited();
  if (before === undefined) return;
  resources.defer(() => writeRcuExpedited(before));
  await writeRcuExpedited(1);
}

async function start(setup: Setup, signal: AbortSignal, resources: AsyncDisposableStack): Promise<Running> {
  const { kind, nodes, delayMs } = setup;
  const drivers: TemporaryDriver[] = [];
  if (kind === 'agents') {
    const link = resources.use(new DelayedLink(delayMs));
    const between = delayMs > 0 && { between: link.between };
    drivers.push(resources.use(await startTemporaryCluster({ nodes, ...between })));
  } else {
    for (let i = 0; i < nodes; i++) drivers.push(resources.use(await startTemporaryDriver()));
  }
  const groups: Group[] = [];
  for (const driver of drivers) groups.push(await mountGroup(driver, VOLUMES / drivers.length, signal, resources));
  return { setup, groups };
}

async function mountGroup(
  driver: TemporaryDriver,
  count: number,
  signal: AbortSignal,
  resources: AsyncDisposableStack,
): Promise<Group> {
  const client = resources.use(await connectCsi(driver.endpoint));
  const nodes: CsiClient[] = [];
  for (const { endpoint } of driver.nodes) nodes.push(resources.use(await connectCsi(endpoint)));
  const volumes = await mountVolumes({ client, nodes }, count, VOLUME_BYTES, driver.workFolder, signal, resources);
  return { driver, client, volumeIds: volumes.map(({ id }) => id) };
}

/** All groups at the same moment; the longest counts. */
async function measure({ groups }: Running): Promise<Sample> {
  const samples = await Promise.all(groups.map(cutOnce));
  return {
    windowMs: Math.max(...samples.map(({ windowMs }) => windowMs)),
    callMs: Math.max(...samples.map(({ callMs }) => callMs)),
  };
}

async function cutOnce({ driver, client, volumeIds }: Group): Promise<Sample> {
  const started = performance.now();
  const request = { name: `bench-${process.hrtime.bigint()}`, sourceVolumeIds: volumeIds };
  const { groupSnapshot } = await client.group.CreateVolumeGroupSnapshot(request);
  const callMs = performance.now() - started;
  const groupSnapshotId = groupSnapshot?.groupSnapshotId ?? '';
  const windowMs = Math.max(...(await driver.windowsOf(groupSnapshotId)).values());
  const snapshotIds = groupSnapshot?.snapshots.map(({ snapshotId }) => snapshotId) ?? [];
  await client.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
  return { windowMs, callMs };
}

function resultOf(setup: Setup, samples: readonly Sample[]): Result {
  return {
    ...setup,
    windowMs: median(samples.map(({ windowMs }) => windowMs)),
    callMs: median(samples.map(({ callMs }) => callMs)),
    samples,
  };
}

function report(results: readonly Result[]): Section {
  const windowOf = (kind: Setup['kind'], nodes: number) =>
    results.find((each) => each.kind === kind && each.nodes === nodes)?.windowMs ?? Number.NaN;
  const alone = windowOf('alone', 1);
  const far = results.filter(({ kind, delayMs }) => kind === 'agents' && delayMs > 0);
  return {
    title: `Cluster: window of a group snapshot of ${VOLUMES} idle volumes (ms, medians)`,
    columns: [
      { title: '' },
      { title: 'DELAY', align: 'right' },
      { title: 'WINDOW', align: 'right' },
      { title: 'BEYOND ONE PROCESS', align: 'right' },
      { title: 'CALL', align: 'right' },
    ],
    rows: results.map((result) => [
      nameOf(result),
      result.kind === 'agents' ? ms(result.delayMs) : '',
      ms(result.windowMs),
      result.kind === 'alone' ? '' : ms(result.windowMs - alone),
      ms(result.callMs),
    ]),
    aims: far.flatMap((result) => [
      aimOf(result, 'one process', alone),
      ...(result.nodes > 1
        ? [aimOf(result, `${result.nodes} processes side by side`, windowOf('side by side', result.nodes))]
        : []),
      aimOf(result, 'the same agents without the delay', windowOf('agents', result.nodes)),
    ]),
    notes: [
      'DELAY is added each way by a relay before each agent. The longest window over the nodes counts.',
      'Side by side: drivers that know nothing of each other, each with its share of the volumes, called at one moment.',
      'All of them are on this machine and take turns, with rcu_expedited raised all the time.',
    ],
    data: results,
  };
}

function aimOf({ nodes, delayMs, windowMs }: Result, reference: string, referenceMs: number): Aim {
  const most = ROUND_TRIPS * 2 * delayMs;
  return {
    what: `window over ${agents(nodes)}, ${delayMs} ms away, beyond ${reference}`,
    aim: `${ROUND_TRIPS} round trips (${ms(most)} ms)`,
    measured: `${ms(windowMs - referenceMs)} ms`,
    reached: windowMs - referenceMs <= most,
  };
}

function nameOf({ kind, nodes }: Setup): string {
  switch (kind) {
    case 'alone':
      return 'one process';
    case 'side by side':
      return `${nodes} side by side`;
    case 'agents':
      return agents(nodes);
  }
}

function agents(count: number): string {
  return count === 1 ? '1 agent' : `${count} agents`;
}
