import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { parseList } from '../parse/list.ts';
import { renderVolume } from '../render/volume.ts';

export function listVolumes(volumes: VolumeService): Handler<ControllerDefinition, 'ListVolumes'> {
  return async (request, { signal }) => {
    const { items, nextToken } = await volumes.list(parseList(request), signal);
    return { entries: items.map((volume) => ({ volume: renderVolume(volume) })), nextToken };
  };
}
