import { hasCode, messageOf } from '../../core/errors.ts';
import type { Volume } from '../../core/volume.ts';
import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler, RequestOf } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { conflictOf, fsTypeOf, type ParsedCapability, parseCapabilities } from '../parse/capability.ts';
import { boundedMap, checkUnusedMaps, requiredId } from '../parse/fields.ts';
import { parseParameters, refuseMutableParameters } from '../parse/parameters.ts';

type Request = RequestOf<ControllerDefinition, 'ValidateVolumeCapabilities'>;

/** What is well formed and can't be had is no error here: it is not confirmed, and the message says why. */
export function validateVolumeCapabilities(
  volumes: VolumeService,
): Handler<ControllerDefinition, 'ValidateVolumeCapabilities'> {
  return async (request, { signal }) => {
    const id = requiredId('volume_id', request.volumeId);
    const capabilities = parseCapabilities('volume_capabilities', request.volumeCapabilities);
    boundedMap('parameters', request.parameters);
    boundedMap('mutable_parameters', request.mutableParameters);
    checkUnusedMaps({ volume_context: request.volumeContext, secrets: request.secrets });
    const volume = await volumes.get(id, signal);
    const message = objection(volume, request, capabilities);
    if (message !== undefined) return { message };
    const { volumeContext, volumeCapabilities, parameters } = request;
    return { confirmed: { volumeContext, volumeCapabilities, parameters } };
  };
}

function objection(volume: Volume, request: Request, capabilities: readonly ParsedCapability[]): string | undefined {
  const { content } = volume;
  const conflict = conflictOf('volume_capabilities', capabilities);
  if (conflict) return conflict;
  const fsType = fsTypeOf(capabilities);
  if (fsType && 'fsType' in content && content.fsType !== fsType) {
    return `volume_capabilities: the volume holds ${content.fsType}, not ${fsType}`;
  }
  const wantsMount = capabilities.some((each) => each.kind === 'supported' && each.capability.access.kind === 'mount');
  if (wantsMount && content.kind === 'raw') return 'volume_capabilities: the volume is a raw block volume';
  return objectionToParameters(request);
}

function objectionToParameters(request: Request): string | undefined {
  try {
    parseParameters('parameters', request.parameters);
    refuseMutableParameters('mutable_parameters', request.mutableParameters);
    return undefined;
  } catch (error) {
    if (hasCode(error, 'invalid-argument')) return messageOf(error);
    throw error;
  }
}
