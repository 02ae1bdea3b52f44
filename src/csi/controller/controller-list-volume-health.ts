import { DriverError } from '../../core/errors.ts';
import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import { checkUnusedMaps } from '../parse/fields.ts';
import { parseList } from '../parse/list.ts';

/** Healthy volumes are left out (CSI specification, ControllerListVolumeHealth), so there is nothing to list. */
export function controllerListVolumeHealth(): Handler<ControllerDefinition, 'ControllerListVolumeHealth'> {
  return async (request) => {
    const { startingToken } = parseList(request);
    checkUnusedMaps({ secrets: request.secrets });
    if (startingToken !== '') {
      throw new DriverError('aborted', 'starting_token: not a token of this list; start again without one');
    }
    return { entries: [] };
  };
}
