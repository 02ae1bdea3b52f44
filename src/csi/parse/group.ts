import { TEST_BUILD } from '../../core/build.ts';
import { invalidArgument } from '../../core/errors.ts';
import { NO_BARRIER_PARAMETER, NO_FENCE_PARAMETER } from '../../core/names.ts';
import type { CreateVolumeGroupSnapshotRequest__Output } from '../../gen/csi/v1/CreateVolumeGroupSnapshotRequest.ts';
import type { CreateGroupRequest, GroupRequest } from '../../volumes/requests.ts';
import { checkUnusedMaps, requiredId, requiredIds, requiredName } from './fields.ts';
import { parseParameters } from './parameters.ts';

/** Unknown, and so refused, outside of the test build. */
const TEST_PARAMETERS = TEST_BUILD ? [NO_FENCE_PARAMETER, NO_BARRIER_PARAMETER] : [];

export function parseCreateGroup(wire: CreateVolumeGroupSnapshotRequest__Output): CreateGroupRequest {
  const name = requiredName('name', wire.name);
  const volumeIds = requiredIds('source_volume_ids', wire.sourceVolumeIds);
  const parameters = parseParameters('parameters', wire.parameters, TEST_PARAMETERS);
  checkUnusedMaps({ secrets: wire.secrets });
  return {
    name,
    volumeIds,
    parameters,
    fenced: !isSwitchedOn(NO_FENCE_PARAMETER, parameters),
    barrier: !isSwitchedOn(NO_BARRIER_PARAMETER, parameters),
  };
}

/**
 * `snapshot_ids` is required, but what is missing in it shows only beside the group: of a group that does not exist it
 * does not matter (csi-sanity sends none).
 */
export function parseGroupRequest(wire: {
  readonly groupSnapshotId: string;
  readonly snapshotIds: readonly string[];
  readonly secrets: Readonly<Record<string, string>>;
}): GroupRequest {
  const id = requiredId('group_snapshot_id', wire.groupSnapshotId);
  const snapshotIds = wire.snapshotIds.length === 0 ? [] : requiredIds('snapshot_ids', wire.snapshotIds);
  checkUnusedMaps({ secrets: wire.secrets });
  return { id, snapshotIds };
}

function isSwitchedOn(parameter: string, parameters: Readonly<Record<string, string>>): boolean {
  const value = parameters[parameter];
  if (value === undefined || value === 'false') return false;
  if (value === 'true') return true;
  throw invalidArgument('parameters', `${parameter} is "true" or "false"`);
}
