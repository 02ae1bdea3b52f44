import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { Handler } from '../../rpc/types.ts';
import type { NodeInfo } from '../options.ts';
import { renderTopology } from '../render/topology.ts';

export function nodeGetInfo({ node }: NodeInfo): Handler<NodeDefinition, 'NodeGetInfo'> {
  return async () => ({
    nodeId: node,
    // No limit of ours: the scheduler decides.
    maxVolumesPerNode: '0',
    accessibleTopology: renderTopology(node),
  });
}
