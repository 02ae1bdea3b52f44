import type { CreateSnapshotRequest__Output } from '../../gen/csi/v1/CreateSnapshotRequest.ts';
import type { CreateSnapshotRequest } from '../../volumes/requests.ts';
import { checkUnusedMaps, requiredId, requiredName } from './fields.ts';
import { parseParameters } from './parameters.ts';
import { parsePlacement } from './topology.ts';

export function parseCreateSnapshot(wire: CreateSnapshotRequest__Output): CreateSnapshotRequest {
  const name = requiredName('name', wire.name);
  const sourceVolumeId = requiredId('source_volume_id', wire.sourceVolumeId);
  const parameters = parseParameters('parameters', wire.parameters);
  const placement = parsePlacement('accessibility_requirements', wire.accessibilityRequirements);
  checkUnusedMaps({ secrets: wire.secrets });
  return { name, sourceVolumeId, parameters, placement };
}
