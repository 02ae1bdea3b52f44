import { DriverError, invalidArgument } from '../../core/errors.ts';
import type { ContentSource } from '../../core/volume.ts';
import type { CreateVolumeRequest__Output } from '../../gen/csi/v1/CreateVolumeRequest.ts';
import type { VolumeContentSource__Output } from '../../gen/csi/v1/VolumeContentSource.ts';
import type { CreateVolumeRequest } from '../../volumes/requests.ts';
import { accessTypeOf, conflictOf, fsTypeOf, parseCapabilities } from './capability.ts';
import { parseCapacityRange } from './capacity-range.ts';
import { checkUnusedMaps, requiredId, requiredName } from './fields.ts';
import { parseParameters, refuseMutableParameters } from './parameters.ts';
import { parsePlacement } from './topology.ts';

/** Capabilities that no local volume has are INVALID_ARGUMENT here (CSI specification, "Error Scheme": unsupported field). */
export function parseCreateVolume(wire: CreateVolumeRequest__Output): CreateVolumeRequest {
  const name = requiredName('name', wire.name);
  const capabilities = parseCapabilities('volume_capabilities', wire.volumeCapabilities);
  const conflict = conflictOf('volume_capabilities', capabilities);
  if (conflict) throw new DriverError('invalid-argument', conflict);
  const range = parseCapacityRange('capacity_range', wire.capacityRange);
  const parameters = parseParameters('parameters', wire.parameters);
  refuseMutableParameters('mutable_parameters', wire.mutableParameters);
  const source = parseContentSource('volume_content_source', wire.volumeContentSource);
  const placement = parsePlacement('accessibility_requirements', wire.accessibilityRequirements);
  checkUnusedMaps({ secrets: wire.secrets });
  const fsType = fsTypeOf(capabilities);
  const accessType = accessTypeOf(capabilities);
  const optional = { ...(source && { source }), ...(accessType && { accessType }), ...(fsType && { fsType }) };
  return { name, range, parameters, placement, ...optional };
}

function parseContentSource(field: string, wire: VolumeContentSource__Output | null): ContentSource | undefined {
  if (!wire) return undefined;
  if (wire.snapshot)
    return { kind: 'snapshot', id: requiredId(`${field}.snapshot.snapshot_id`, wire.snapshot.snapshotId) };
  if (wire.volume) return { kind: 'volume', id: requiredId(`${field}.volume.volume_id`, wire.volume.volumeId) };
  throw invalidArgument(field, 'snapshot or volume is required');
}
