import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { requiredId } from '../parse/fields.ts';
import { optionalPath } from '../parse/path.ts';
import { renderHealth } from '../render/health.ts';

/** May be asked of a volume that could not be staged, so the paths say nothing: wherever it is mounted is looked at. */
export function nodeGetVolumeHealth(volumes: VolumeService): Handler<NodeDefinition, 'NodeGetVolumeHealth'> {
  return async (request, { signal }) => {
    const id = requiredId('volume_id', request.volumeId);
    optionalPath('volume_publish_path', request.volumePublishPath);
    optionalPath('staging_target_path', request.stagingTargetPath);
    return { volumeHealth: renderHealth(await volumes.health(id, signal)) };
  };
}
