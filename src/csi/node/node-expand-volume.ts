import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { NodeOperations } from '../../mounts/requests.ts';
import type { Handler } from '../../rpc/types.ts';
import { parseExpand } from '../parse/node.ts';
import { optionalPath } from '../parse/path.ts';

export function nodeExpandVolume(node: NodeOperations): Handler<NodeDefinition, 'NodeExpandVolume'> {
  return async (request, { signal }) => {
    const expand = parseExpand(request);
    optionalPath('staging_target_path', request.stagingTargetPath);
    return { capacityBytes: String(await node.expand(expand, signal)) };
  };
}
