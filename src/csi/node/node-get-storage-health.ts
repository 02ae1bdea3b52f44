import { hasCode, messageOf } from '../../core/errors.ts';
import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import type { NodeInfo } from '../options.ts';
import { checkUnusedMaps } from '../parse/fields.ts';

/** The node's pool: no entry when all is well. */
export function nodeGetStorageHealth(
  volumes: VolumeService,
  { node }: NodeInfo,
): Handler<NodeDefinition, 'NodeGetStorageHealth'> {
  return async ({ secrets }, { signal }) => {
    checkUnusedMaps({ secrets });
    try {
      const { availableBytes } = await volumes.capacity(node, signal);
      if (availableBytes > 0n) return { backendHealth: [] };
      const message = 'no new volume can be made: the pool is full, or all of it is promised';
      return { backendHealth: [{ status: 'STORAGE_DEGRADED', reason: 'PoolFull', message }] };
    } catch (error) {
      const reason = hasCode(error, 'data-loss') ? 'PoolFailed' : 'PoolAway';
      if (reason === 'PoolAway' && !hasCode(error, 'unavailable')) throw error;
      return { backendHealth: [{ status: 'STORAGE_UNREACHABLE', reason, message: messageOf(error) }] };
    }
  };
}
