import { DriverError } from '../../core/errors.ts';
import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { NodeOperations } from '../../mounts/requests.ts';
import type { Handler } from '../../rpc/types.ts';
import { parseExpand } from '../parse/node.ts';
import { optionalPath } from '../parse/path.ts';

export function nodeExpandVolume(node: NodeOperations): Handler<NodeDefinition, 'NodeExpandVolume'> {
  return async (request, { signal }) => {
    const { range, ...place } = parseExpand(request);
    optionalPath('staging_target_path', request.stagingTargetPath);
    const capacityBytes = await node.expand(place, signal);
    // The filesystem follows its device, whose size ControllerExpandVolume sets.
    if (range.requiredBytes !== undefined && capacityBytes < range.requiredBytes) {
      throw new DriverError(
        'out-of-range',
        `capacity_range: the volume has ${capacityBytes} bytes, less than required_bytes ${range.requiredBytes}; ` +
          'ControllerExpandVolume comes first',
      );
    }
    return { capacityBytes: String(capacityBytes) };
  };
}
