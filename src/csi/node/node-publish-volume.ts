import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { NodeOperations } from '../../mounts/requests.ts';
import type { Handler } from '../../rpc/types.ts';
import { parsePublish } from '../parse/node.ts';

export function nodePublishVolume(node: NodeOperations): Handler<NodeDefinition, 'NodePublishVolume'> {
  return async (request, { signal }) => {
    await node.publish(parsePublish(request), signal);
    return {};
  };
}
