/** The controller's side, composed: it keeps nothing, and works over whatever agents there are. */
import type { NodeDirectory } from '../core/node-agent.ts';
import type { ControllerParts } from '../csi/services.ts';
import { RoundCoordinator } from '../fence/coordinator.ts';
import { GroupService } from '../volumes/group-service.ts';
import { SnapshotService } from '../volumes/snapshot-service.ts';
import { VolumeService } from '../volumes/volume-service.ts';
import type { OptionValues } from './options.ts';
import { observeRounds } from './round-observer.ts';
import type { Surroundings } from './service.ts';
import { settleNowAndThen } from './settling.ts';

export const CONTROLLER_OPTIONS = ['leaseMs'] as const;

export function composeController(
  directory: NodeDirectory,
  { leaseMs }: OptionValues<(typeof CONTROLLER_OPTIONS)[number]>,
  { logger, metrics, resources }: Surroundings,
): ControllerParts {
  resources.use(settleNowAndThen(directory, logger));
  const coordinator = new RoundCoordinator(directory, leaseMs, observeRounds(logger, metrics));
  return {
    volumes: new VolumeService(directory),
    snapshots: new SnapshotService(directory, coordinator),
    groups: new GroupService(directory, coordinator),
  };
}
