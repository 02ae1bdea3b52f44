/** `cofferdam prove`: checks the consistency of any CSI driver's group snapshots. */
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
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
    const target =
      options.driver === undefined
        ? resources.use(await startTemporaryDriver(options.poolSize))
        : { endpoint: options.driver, workFolder: await temporaryFolder(resources) };
    const report = await prove(
      {
        ...target,
        volumes: options.volumes,
        rounds: options.rounds,
        accessType: options.access,
        fsType: options.fsType,
        ...(options.volumeSize !== undefined && { volumeBytes: options.volumeSize }),
        loadBytesPerSecond: options.load,
        noFence: options.noFence,
        ...(options.seed !== undefined && { seed: options.seed }),
      },
      options.json ? () => undefined : (event) => process.stdout.write(renderProgress(event)),
      signal,
    );
    process.stdout.write(options.json ? `${reportJson(report)}\n` : renderReport(report));
    return report.passed ? 0 : 1;
  },
};

async function temporaryFolder(resources: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cofferdam-prove-'));
  // Not recursively: that would go through a mount which could not be undone, into the volume.
  resources.defer(() => rmdir(folder));
  return folder;
}
