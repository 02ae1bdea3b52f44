/**
 * The volumes of one run, mounted and written to: what rounds are made on.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { mapLimited } from '../core/concurrency.ts';
import { DRIVER_NAME } from '../core/names.ts';
import type { Cleanup, CleanupScope } from './cleanup.ts';
import type { CsiClient } from './csi-client.ts';
import { type DriverFacts, describeNode } from './driver.ts';
import type { Progress } from './events.ts';
import { Load } from './load.ts';
import type { ProvePlan } from './options.ts';
import { LOAD_OFFSET, regionOf } from './places.ts';
import type { Stream } from './record.ts';
import { Restorer, restoreModeOf } from './restore.ts';
import { type Access, type CsiVolume, removeFolder, VolumeCalls } from './volumes.ts';
import { OrderedWriter } from './writer.ts';

export interface PlacedVolume extends CsiVolume {
  /** Index of its node. */
  readonly node: number;
}

export interface Session {
  readonly plan: ProvePlan;
  readonly client: CsiClient;
  readonly driver: DriverFacts;
  /** Part of the name of everything that this run makes. */
  readonly name: string;
  /** The same for the blocks that it writes. */
  readonly run: number;
  readonly volumes: readonly PlacedVolume[];
  readonly writers: Readonly<Record<Stream, OrderedWriter>>;
  readonly load: Load | undefined;
  /** By node: what was on a node is looked at there. */
  readonly restorers: readonly Restorer[];
  readonly bufferedCounts: boolean;
}

/**
 * Makes the volumes, spread over the nodes, mounts them and starts the writers; `cleanup` undoes all of it. A writer has
 * all volumes, wherever they are: so its order holds across nodes too.
 * @param nodes clients of the services of each node
 */
export async function openSession(
  plan: ProvePlan,
  client: CsiClient,
  nodes: readonly Pick<CsiClient, 'node'>[],
  driver: DriverFacts,
  cleanup: Cleanup,
  progress: Progress,
  signal: AbortSignal,
): Promise<Session> {
  const scope = cleanup.scope();
  const run = randomBytes(4).readUInt32LE();
  const name = `prove-${run.toString(16).padStart(8, '0')}`;
  const folder = await workFolder(plan.workFolder, scope);
  // No more than can have a volume.
  const calls = await Promise.all(
    nodes.slice(0, plan.volumes).map(async ({ node }, index) => {
      const own = await nodeFolder(folder, index, scope);
      const clients = { controller: client.controller, node };
      return new VolumeCalls(clients, driver, await describeNode({ node }, driver, signal), plan.parameters, own);
    }),
  );
  const access: Access = plan.accessType === 'mount' ? { kind: 'mount', fsType: plan.fsType } : { kind: 'block' };

  progress({ kind: 'step', text: `making ${plan.volumes} volumes` });
  const indexes = Array.from({ length: plan.volumes }, (_, volume) => volume);
  const made = await mapLimited(indexes, plan.concurrency, async (volume) => {
    signal.throwIfAborted();
    const volumeName = `${name}-vol${volume + 1}`;
    const its = cleanup.scope();
    const node = volume % calls.length;
    const onNode = calls[node] as VolumeCalls;
    const csiVolume = await onNode.create({ name: volumeName, bytes: plan.volumeBytes, access }, its);
    const path = await onNode.publish(csiVolume, volumeName, access, false, its);
    return { csiVolume: { ...csiVolume, node }, path };
  });
  const paths = made.map(({ path }) => path);

  // The first volume of each node stands for the others.
  const restorers = await Promise.all(
    calls.map(
      async (onNode, node) => new Restorer(onNode, await restoreModeOf(paths[node] ?? '', access, folder), folder),
    ),
  );
  progress({ kind: 'step', text: 'starting the writers' });
  // A scope of their own after those of the volumes: nothing can be unmounted that is written to.
  const threads = cleanup.scope();
  const durable = await startWriter('durable');
  const buffered = await startWriter('buffered');
  const load = plan.loadBytesPerSecond > 0n ? await startLoad() : undefined;

  return {
    plan,
    client,
    driver,
    name,
    run,
    volumes: made.map(({ csiVolume }) => csiVolume),
    writers: { durable, buffered },
    load,
    restorers,
    bufferedCounts: plan.countBuffered ?? (driver.name === DRIVER_NAME && plan.accessType === 'mount'),
  };

  async function startWriter(stream: Stream): Promise<OrderedWriter> {
    const targets = paths.map((path) => regionOf(path, access.kind, stream));
    const writer = await OrderedWriter.start({ run, stream, targets, order: indexes });
    threads.add(`the ${stream} writer`, () => writer.stop());
    signal.throwIfAborted();
    return writer;
  }

  async function startLoad(): Promise<Load> {
    const targets = paths.map((path) => ({
      path: access.kind === 'mount' ? join(path, 'load.dat') : path,
      device: access.kind === 'block',
      offset: access.kind === 'mount' ? 0 : LOAD_OFFSET,
    }));
    const { volumeBytes, loadBytesPerSecond: bytesPerSecond, seed } = plan;
    const started = await Load.start({ targets, volumeBytes, bytesPerSecond, seed });
    threads.add('the load', () => started.stop());
    return started;
  }
}

/** Ends what writes to the volumes; what fails here is seen again, and reported, by the clean-up. */
export async function quiesce({ writers, load }: Session): Promise<void> {
  await Promise.allSettled([writers.durable.stop(), writers.buffered.stop(), load?.stop()]);
}

/** Where the kubelet of a node would mount. */
async function nodeFolder(parent: string, index: number, scope: CleanupScope): Promise<string> {
  const folder = join(parent, `node${index + 1}`);
  scope.add(`folder ${folder}`, () => removeFolder(folder));
  await mkdir(folder);
  return folder;
}

async function workFolder(parent: string, scope: CleanupScope): Promise<string> {
  const folder = await mkdtemp(join(parent, 'prove-'));
  scope.add(`folder ${folder}`, () => removeFolder(folder));
  return folder;
}
