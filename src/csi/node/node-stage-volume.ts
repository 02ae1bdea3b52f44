import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { NodeOperations } from '../../mounts/requests.ts';
import type { Handler } from '../../rpc/types.ts';
import { parseStage } from '../parse/node.ts';

export function nodeStageVolume(node: NodeOperations): Handler<NodeDefinition, 'NodeStageVolume'> {
  return async (request, { signal }) => {
    await node.stage(parseStage(request), signal);
    return {};
  };
}
