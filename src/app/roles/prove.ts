/** `cofferdam prove`: checks the consistency of any CSI driver's group snapshots. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BACKENDS } from '../../backends/registry.ts';
import { windowOf } from '../../fence/coordinator.ts';
import { requireRoot } from '../../host/privileges.ts';
import { prove } from '../../prove/prove.ts';
import { renderProgress, renderReport } from '../../prove/render.ts';
import { reportJson } from '../../prove/report.ts';
import type { Role } from '../cli.ts';
import { startTemporaryDriver } from '../temporary-driver.ts';

const PROVE_OPTIONS = [
  'driver',
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
] as const;

export const role: Role<(typeof PROVE_OPTIONS)[number]> = {
  description:
    'Makes volumes, writes a rising number to them in turn, takes group snapshots meanwhile, restores every one, and ' +
    'looks for a number that is ahead of its predecessor. Ends with 0 when nothing was violated.',
  options: PROVE_OPTIONS,
  run: async (options, signal) => {
    requireRoot();
    await using resources = new AsyncDisposableStack();
    const workFolder = await mkdtemp(path.join(tmpdir(), 'cofferdam-prove-'));
    resources.defer(() => rm(workFolder, { recursive: true, force: true }));
    const own =
      options.driver === undefined
        ? resources.use(
            await startTemporaryDriver([
              ...['--log-level', 'warn', '--overcommit-ratio', '1000'],
              ...['--pool-size', options.poolSize === undefined ? '16GiB' : String(options.poolSize)],
            ]),
          )
        : undefined;
    const report = await prove(
      {
        endpoint: own?.endpoint ?? options.driver ?? '',
        volumes: options.volumes,
        rounds: options.rounds,
        accessType: options.access,
        fsType: options.fsType,
        ...(options.volumeSize !== undefined && { volumeBytes: options.volumeSize }),
        loadBytesPerSecond: options.load,
        noFence: options.noFence,
        ...(options.seed !== undefined && { seed: options.seed }),
        workFolder,
        ...(own && { windowOf: (groupId: string) => windowOfGroup(own.dataDir, groupId) }),
      },
      options.json ? () => undefined : (event) => process.stdout.write(renderProgress(event)),
      signal,
    );
    process.stdout.write(options.json ? `${reportJson(report)}\n` : renderReport(report));
    return report.passed ? 0 : 1;
  },
};

/** From the evidence in the pool. Milliseconds. */
export async function windowOfGroup(dataDir: string, groupId: string): Promise<number | undefined> {
  const { cuts } = await BACKENDS.loop.inspect(dataDir, { overcommitRatio: 1, reservePercent: 0 });
  const record = cuts.find((cut) => cut.group?.id === groupId);
  return record && windowOf([record]);
}
