/**
 * What it costs to keep the fence over a network: the window of the same number of volumes over more and more agents,
 * beside a driver that is controller and node in one, in the same run.
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
const AGENTS = [1, 2, 4] as const;
const DELAYS_MS = [0, 1] as const;
const REPETITIONS = 15;
/** Beyond the window of one process: freeze is answered, cut is asked for; and as much again for the machine's own pace. */
const ROUND_TRIPS = 2;

interface Setup {
  /** Undefined: controller and node in one process. */
  readonly agents?: number;
  /** Each way. */
  readonly delayMs: number;
}

interface Running {
  readonly setup: Setup;
  readonly driver: TemporaryDriver;
  readonly client: CsiClient;
  readonly volumeIds: readonly string[];
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
  { delayMs: 0 },
  ...DELAYS_MS.flatMap((delayMs) => AGENTS.map((agents) => ({ agents, delayMs }))),
];

export const cluster: Part = {
  name: 'cluster',
  summary: 'window of 16 volumes over 1, 2 and 4 agents, near and 1 ms away, beside that of a single process',
  run: async ({ options, signal, progress }) => {
    await using resources = new AsyncDisposableStack();
    using logger = createLogger({ level: 'warn', secretFields: [] });
    await sweepAbandonedRuns(logger);
    await expediteRcu(resources);
    const running: Running[] = [];
    for (const setup of SETUPS) {
      progress(`starting ${nameOf(setup)}`);
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
  const { agents, delayMs } = setup;
  const link = resources.use(new DelayedLink(delayMs));
  const driver = resources.use(
    agents === undefined
      ? await startTemporaryDriver()
      : await startTemporaryCluster({ nodes: agents, ...(delayMs > 0 && { between: link.between }) }),
  );
  const client = resources.use(await connectCsi(driver.endpoint));
  const nodes: CsiClient[] = [];
  for (const { endpoint } of driver.nodes) nodes.push(resources.use(await connectCsi(endpoint)));
  const volumes = await mountVolumes({ client, nodes }, VOLUMES, VOLUME_BYTES, driver.workFolder, signal, resources);
  return { setup, driver, client, volumeIds: volumes.map(({ id }) => id) };
}

async function measure({ driver, client, volumeIds }: Running): Promise<Sample> {
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
  const single = results.find(({ agents }) => agents === undefined)?.windowMs ?? Number.NaN;
  const over = results.filter(({ agents }) => agents !== undefined);
  return {
    title: `Cluster: window of a group snapshot of ${VOLUMES} idle volumes (ms, medians)`,
    columns: [
      { title: 'AGENTS' },
      { title: 'DELAY', align: 'right' },
      { title: 'WINDOW', align: 'right' },
      { title: 'BEYOND ONE PROCESS', align: 'right' },
      { title: 'CALL', align: 'right' },
    ],
    rows: results.map((result) => [
      result.agents === undefined ? 'in the process' : String(result.agents),
      result.agents === undefined ? '' : ms(result.delayMs),
      ms(result.windowMs),
      result.agents === undefined ? '' : ms(result.windowMs - single),
      ms(result.callMs),
    ]),
    aims: over.filter(({ delayMs }) => delayMs > 0).map((result) => aimOf(result, single)),
    notes: [
      'DELAY is added each way by a relay before each agent. The longest window over the agents counts.',
      'All of them are on this machine and take turns, with rcu_expedited raised all the time.',
    ],
    data: results,
  };
}

function aimOf({ agents, delayMs, windowMs }: Result, single: number): Aim {
  const most = single + ROUND_TRIPS * 2 * delayMs;
  return {
    what: `window over ${agents} agents, ${delayMs} ms away, beyond one process`,
    aim: `${ROUND_TRIPS} round trips (${ms(most - single)} ms)`,
    measured: `${ms(windowMs - single)} ms`,
    reached: windowMs <= most,
  };
}

function nameOf({ agents, delayMs }: Setup): string {
  return agents === undefined ? 'a single process' : `${agents} agents, ${delayMs} ms away`;
}
