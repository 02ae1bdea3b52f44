import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { conflictOf, fsTypeOf, parseCapability } from '../parse/capability.ts';
import { parseParameters } from '../parse/parameters.ts';
import { parseTopology } from '../parse/topology.ts';

/** For capabilities that no volume here can have there is no room (CSI specification, GetCapacityRequest). */
export function getCapacity(volumes: VolumeService): Handler<ControllerDefinition, 'GetCapacity'> {
  return async (request, { signal }) => {
    const capabilities = request.volumeCapabilities.map((each, i) =>
      parseCapability(`volume_capabilities[${i}]`, each),
    );
    parseParameters('parameters', request.parameters);
    const node = parseTopology('accessible_topology', request.accessibleTopology);
    if (conflictOf('volume_capabilities', capabilities))
      return { availableCapacity: '0', maximumVolumeSize: { value: '0' } };
    const room = await volumes.capacity(node, signal, fsTypeOf(capabilities));
    const { availableBytes, maxVolumeBytes, minVolumeBytes } = room;
    return {
      availableCapacity: String(availableBytes),
      maximumVolumeSize: { value: String(maxVolumeBytes) },
      minimumVolumeSize: { value: String(minVolumeBytes) },
    };
  };
}
