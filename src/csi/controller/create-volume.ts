import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { parseCreateVolume } from '../parse/volume.ts';
import { renderVolume } from '../render/volume.ts';

export function createVolume(volumes: VolumeService): Handler<ControllerDefinition, 'CreateVolume'> {
  return async (request, { signal }) => ({
    volume: renderVolume(await volumes.create(parseCreateVolume(request), signal)),
  });
}
