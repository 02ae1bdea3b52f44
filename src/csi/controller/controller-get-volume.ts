import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { requiredId } from '../parse/fields.ts';
import { renderVolume } from '../render/volume.ts';

export function controllerGetVolume(volumes: VolumeService): Handler<ControllerDefinition, 'ControllerGetVolume'> {
  return async ({ volumeId }, { signal }) => ({
    volume: renderVolume(await volumes.get(requiredId('volume_id', volumeId), signal)),
    // Required, and empty: there is no controller publish here.
    status: {},
  });
}
