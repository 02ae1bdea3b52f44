import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { NodeOperations } from '../../mounts/requests.ts';
import type { Handler } from '../../rpc/types.ts';
import { parseUnpublish } from '../parse/node.ts';

export function nodeUnpublishVolume(node: NodeOperations): Handler<NodeDefinition, 'NodeUnpublishVolume'> {
  return async (request, { signal }) => {
    await node.unpublish(parseUnpublish(request), signal);
    return {};
  };
}
