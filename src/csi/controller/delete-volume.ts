import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { checkUnusedMaps, requiredId } from '../parse/fields.ts';

export function deleteVolume(volumes: VolumeService): Handler<ControllerDefinition, 'DeleteVolume'> {
  return async ({ volumeId, secrets }, { signal }) => {
    const id = requiredId('volume_id', volumeId);
    checkUnusedMaps({ secrets });
    await volumes.delete(id, signal);
    return {};
  };
}
