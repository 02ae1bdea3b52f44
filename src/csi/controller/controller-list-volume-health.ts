import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { VolumeService } from '../../volumes/volume-service.ts';
import { checkUnusedMaps } from '../parse/fields.ts';
import { parseList } from '../parse/list.ts';
import { renderHealth } from '../render/health.ts';

/** Healthy volumes are left out (CSI specification, ControllerListVolumeHealth). */
export function controllerListVolumeHealth(
  volumes: VolumeService,
): Handler<ControllerDefinition, 'ControllerListVolumeHealth'> {
  return async (request, { signal }) => {
    const page = parseList(request);
    checkUnusedMaps({ secrets: request.secrets });
    const { items, nextToken } = await volumes.listUnhealthy(page, signal);
    return { entries: items.map(renderHealth), nextToken };
  };
}
