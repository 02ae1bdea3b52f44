import type { Capability } from '../../core/capability.ts';
import type { Content } from '../../core/volume.ts';
import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { requiredCapability } from '../parse/capability.ts';
import { requiredCapacityRange } from '../parse/capacity-range.ts';
import { checkUnusedMaps, requiredId } from '../parse/fields.ts';

export function controllerExpandVolume(
  volumes: VolumeService,
): Handler<ControllerDefinition, 'ControllerExpandVolume'> {
  return async (request, { signal }) => {
    const id = requiredId('volume_id', request.volumeId);
    const range = requiredCapacityRange('capacity_range', request.capacityRange);
    // CSI specification, "ControllerExpandVolume Errors": exceeds capabilities is INVALID_ARGUMENT in this RPC.
    const capability =
      request.volumeCapability && requiredCapability('volume_capability', request.volumeCapability, 'invalid-argument');
    checkUnusedMaps({ secrets: request.secrets });
    const { capacityBytes, content } = await volumes.expand(id, range, signal);
    return { capacityBytes: String(capacityBytes), nodeExpansionRequired: needsNode(capability, content) };
  };
}

/** The device grows here; only a filesystem has to follow on the node. */
function needsNode(capability: Capability | null, content: Content): boolean {
  return capability ? capability.access.kind === 'mount' : content.kind !== 'raw';
}
