import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { NodeOperations } from '../../mounts/requests.ts';
import type { Handler } from '../../rpc/types.ts';
import { parseUnstage } from '../parse/node.ts';

export function nodeUnstageVolume(node: NodeOperations): Handler<NodeDefinition, 'NodeUnstageVolume'> {
  return async (request, { signal }) => {
    await node.unstage(parseUnstage(request), signal);
    return {};
  };
}
