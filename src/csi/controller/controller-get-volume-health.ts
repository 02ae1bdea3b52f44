import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { checkUnusedMaps, requiredId } from '../parse/fields.ts';

/** A volume that is there is healthy: no statuses. */
export function controllerGetVolumeHealth(
  volumes: VolumeService,
): Handler<ControllerDefinition, 'ControllerGetVolumeHealth'> {
  return async ({ volumeId, secrets }, { signal }) => {
    const id = requiredId('volume_id', volumeId);
    checkUnusedMaps({ secrets });
    const volume = await volumes.get(id, signal);
    return { volumeHealth: { volumeId: volume.id, healthStatuses: [] } };
  };
}
