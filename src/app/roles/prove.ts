/** `cofferdam prove`: checks the consistency of any CSI driver's group snapshots. */
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { invalidArgument } from '../../core/errors.ts';
import { requireRoot } from '../../host/privileges.ts';
import type { ProveOptions } from '../../prove/options.ts';
import { prove } from '../../prove/prove.ts';
import { renderProgress, renderReport } from '../../prove/render.ts';
import { reportJson } from '../../prove/report.ts';
import type { Role } from '../cli.ts';
import { flagOf, type OptionKey, type OptionValues } from '../options.ts';
import { startTemporaryCluster } from '../temporary/cluster.ts';
import { startTemporaryDriver, type TemporaryDriver } from '../temporary/driver.ts';

const PROVE_OPTIONS = [
  'driver',
  'nodeDriver',
  'nodes',
  'volumes',
  'rounds',
  'access',
  'fsType',
  'volumeSize',
  'load',
  'seed',
  'poolSize',
  'json',
  'noFence',
  'noBarrier',
] as const;

type ProveRoleOptions = OptionValues<(typeof PROVE_OPTIONS)[number]>;

export const role: Role<(typeof PROVE_OPTIONS)[number]> = {
  description:
    'Makes volumes, writes a rising number to them in turn, takes group snapshots meanwhile, restores every one, and ' +
    'looks for a number that is ahead of its predecessor. Ends with 0 when nothing was violated.',
  options: PROVE_OPTIONS,
  run: async (options, signal) => {
    refuseContradictions(options);
    requireRoot();
    await using resources = new AsyncDisposableStack();
    const target = await targetOf(options, resources);
    const report = await prove(
      {
        ...target,
        volumes: options.volumes,
        rounds: options.rounds,
        accessType: options.access,
        ...(options.fsType !== undefined && { fsType: options.fsType }),
        ...(options.volumeSize !== undefined && { volumeBytes: options.volumeSize }),
        loadBytesPerSecond: options.load,
        noFence: options.noFence,
        noBarrier: options.noBarrier,
        ...(options.seed !== undefined && { seed: options.seed }),
      },
      options.json ? () => undefined : (event) => process.stdout.write(renderProgress(event)),
      signal,
    );
    process.stdout.write(options.json ? `${reportJson(report)}\n` : renderReport(report));
    return report.passed ? 0 : 1;
  },
};

/** What would be ignored is refused: whoever gives it believes that it was checked. */
function refuseContradictions(options: ProveRoleOptions): void {
  const { driver, nodeDriver, nodes, poolSize, access, fsType, volumes } = options;
  const refuse = (given: unknown, key: OptionKey, reason: string) => {
    if (given !== undefined) throw invalidArgument(flagOf(key), reason);
  };
  if (driver === undefined) refuse(nodeDriver, 'nodeDriver', 'is for the driver named by --driver');
  else {
    refuse(nodes, 'nodes', 'is for a temporary cluster, not for --driver');
    refuse(poolSize, 'poolSize', 'is for the pool of a temporary driver, not for --driver');
  }
  const places = nodes ?? nodeDriver?.length ?? 1;
  if (volumes < places) {
    throw invalidArgument(flagOf('volumes'), `${volumes} can't be on ${places} nodes: at least ${places} are needed`);
  }
  if (access === 'block') refuse(fsType, 'fsType', 'is for --access mount: a block volume has no filesystem');
}

type Target = Pick<ProveOptions, 'endpoint' | 'nodes' | 'workFolder' | 'windowsOf'>;

/** The driver that is named, or one of our own. */
async function targetOf(options: ProveRoleOptions, resources: AsyncDisposableStack): Promise<Target> {
  const { driver, nodeDriver, nodes, poolSize } = options;
  if (driver === undefined) {
    const own: Promise<TemporaryDriver> =
      nodes === undefined
        ? startTemporaryDriver(poolSize)
        : startTemporaryCluster({ nodes, ...(poolSize !== undefined && { poolBytes: poolSize }) });
    return resources.use(await own);
  }
  return {
    endpoint: driver,
    ...(nodeDriver && { nodes: nodeDriver }),
    workFolder: await temporaryFolder(resources),
  };
}

async function temporaryFolder(resources: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cofferdam-prove-'));
  // Not recursively: that would go through a mount which could not be undone, into the volume.
  resources.defer(() => rmdir(folder));
  return folder;
}
