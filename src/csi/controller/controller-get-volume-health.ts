import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { checkUnusedMaps, requiredId } from '../parse/fields.ts';
import { renderHealth } from '../render/health.ts';

/** A local volume is as healthy as its node says. */
export function controllerGetVolumeHealth(
  volumes: VolumeService,
): Handler<ControllerDefinition, 'ControllerGetVolumeHealth'> {
  return async ({ volumeId, secrets }, { signal }) => {
    const id = requiredId('volume_id', volumeId);
    checkUnusedMaps({ secrets });
    return { volumeHealth: renderHealth(await volumes.health(id, signal)) };
  };
}
