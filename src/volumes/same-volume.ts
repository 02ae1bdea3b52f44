import { DriverError } from '../core/errors.ts';
import { type ContentSource, isMadeFor, MIN_FILESYSTEM_BYTES, type Volume } from '../core/volume.ts';
import { askTheSame } from './parameters.ts';
import { isAllowedOn } from './placement.ts';
import type { CreateVolumeRequest } from './requests.ts';
import { isInRange } from './sizes.ts';

/**
 * A volume of this name exists: it is the answer when it is what the request asks for (CSI specification, CreateVolume:
 * accessible from accessibility_requirements and compatible with capacity_range, volume_capabilities and parameters).
 * @throws DriverError already-exists
 */
export function confirmSameVolume(volume: Volume, request: CreateVolumeRequest): Volume {
  const difference = differenceOf(volume, request);
  if (difference) {
    throw new DriverError('already-exists', `a volume named ${JSON.stringify(request.name)} exists, and ${difference}`);
  }
  return volume;
}

function differenceOf(volume: Volume, request: CreateVolumeRequest): string | undefined {
  const { content } = volume;
  if (!isInRange(request.range, volume.capacityBytes)) {
    const { requiredBytes = 0n, limitBytes } = request.range;
    return `has ${volume.capacityBytes} bytes (asked for: ${requiredBytes} to ${limitBytes ?? 'any'})`;
  }
  if (!isSameSource(volume.source, request.source)) {
    return `was made from ${describe(volume.source)} (asked for: from ${describe(request.source)})`;
  }
  if (!askTheSame(volume.parameters, request.parameters)) return 'was made with other parameters';
  if (!isAllowedOn(request.placement, volume.node)) {
    return `is on node ${volume.node}, which accessibility_requirements do not allow`;
  }
  if (!isMadeFor(volume, request.accessType)) {
    return `was made as a ${volume.accessType} volume (asked for: ${request.accessType})`;
  }
  if (request.fsType && 'fsType' in content && content.fsType !== request.fsType) {
    return `holds ${content.fsType} (asked for: ${request.fsType})`;
  }
  if (request.fsType && volume.capacityBytes < MIN_FILESYSTEM_BYTES[request.fsType]) {
    return `has ${volume.capacityBytes} bytes, too few for ${request.fsType}`;
  }
  return undefined;
}

function isSameSource(a: ContentSource | undefined, b: ContentSource | undefined): boolean {
  return a?.kind === b?.kind && a?.id === b?.id;
}

function describe(source: ContentSource | undefined): string {
  return source ? `${source.kind} ${JSON.stringify(source.id)}` : 'nothing';
}
