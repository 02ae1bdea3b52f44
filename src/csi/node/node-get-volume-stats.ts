import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { NodeOperations, Usage } from '../../mounts/requests.ts';
import type { Handler } from '../../rpc/types.ts';
import { parseStats } from '../parse/node.ts';
import { optionalPath } from '../parse/path.ts';

const UNITS = { bytes: 'BYTES', inodes: 'INODES' } as const satisfies Record<Usage['unit'], string>;

export function nodeGetVolumeStats(node: NodeOperations): Handler<NodeDefinition, 'NodeGetVolumeStats'> {
  return async (request, { signal }) => {
    const stats = parseStats(request);
    // Not needed, mounts are looked at; checked all the same.
    optionalPath('staging_target_path', request.stagingTargetPath);
    const usages = await node.stats(stats, signal);
    return {
      usage: usages.map(({ unit, total, used, available }) => ({
        unit: UNITS[unit],
        total: String(total),
        used: String(used),
        available: String(available),
      })),
    };
  };
}
