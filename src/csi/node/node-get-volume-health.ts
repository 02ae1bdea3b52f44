import type { NodeDefinition } from '../../gen/csi/v1/Node.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { requiredId } from '../parse/fields.ts';
import { optionalPath } from '../parse/path.ts';

/** May be asked of a volume that could not be staged, so the paths say nothing: what counts is that it is there. */
export function nodeGetVolumeHealth(volumes: VolumeService): Handler<NodeDefinition, 'NodeGetVolumeHealth'> {
  return async (request, { signal }) => {
    const id = requiredId('volume_id', request.volumeId);
    optionalPath('volume_publish_path', request.volumePublishPath);
    optionalPath('staging_target_path', request.stagingTargetPath);
    const volume = await volumes.get(id, signal);
    return { volumeHealth: { volumeId: volume.id, healthStatuses: [] } };
  };
}
