/** `cofferdam demo`: the whole thing in small, on a temporary pool. */
import { TEST_BUILD } from '../../core/build.ts';
import { SECRET_FIELDS } from '../../csi/redaction.ts';
import { requireRoot, requireTools } from '../../host/privileges.ts';
import { createLogger } from '../../obs/logger.ts';
import { demo } from '../../prove/demo.ts';
import type { Role } from '../cli.ts';
import { startTemporaryCluster } from '../temporary/cluster.ts';
import { startTemporaryDriver } from '../temporary/driver.ts';
import { sweepAbandonedRuns } from '../temporary/run.ts';

const DEMO_OPTIONS = ['seed', 'nodes'] as const;

/** Shown beside those that hold, where the build can switch off what makes them hold. */
const CONTROL_ROUNDS = 3;

export const role: Role<(typeof DEMO_OPTIONS)[number]> = {
  description:
    'On a temporary pool, or on a temporary cluster: makes volumes, mounts them, runs ordered writers, takes group ' +
    'snapshots, restores and checks them, and cleans up. Ends with 0 when the check held.',
  options: DEMO_OPTIONS,
  run: async (options, signal) => {
    requireRoot();
    await requireTools(['mkfs.ext4', 'mkfs.xfs', 'mount']);
    const logger = createLogger({ level: 'warn', secretFields: SECRET_FIELDS });
    await sweepAbandonedRuns(logger);
    const { nodes } = options;
    await using driver = await (nodes === undefined ? startTemporaryDriver() : startTemporaryCluster({ nodes }));
    const held = await demo(
      {
        ...driver,
        ...(TEST_BUILD && { controlRounds: CONTROL_ROUNDS }),
        ...(options.seed !== undefined && { seed: options.seed }),
      },
      (text) => process.stdout.write(text),
      signal,
    );
    return held ? 0 : 1;
  },
};
