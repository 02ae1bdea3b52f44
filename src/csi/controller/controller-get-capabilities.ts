import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import { controllerRpcs } from '../capabilities.ts';
import type { CsiOptions } from '../options.ts';

export function controllerGetCapabilities(
  options: CsiOptions,
): Handler<ControllerDefinition, 'ControllerGetCapabilities'> {
  const capabilities = controllerRpcs(options).map((type) => ({ rpc: { type } }));
  return async () => ({ capabilities });
}
