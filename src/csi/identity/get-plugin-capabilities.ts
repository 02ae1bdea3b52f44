import type { IdentityDefinition } from '../../gen/csi/v1/Identity.ts';
import type { Handler } from '../../rpc/types.ts';
import { pluginServices } from '../capabilities.ts';
import type { CsiOptions } from '../options.ts';

/** Volumes grow while they are in use: ONLINE. */
export function getPluginCapabilities(options: CsiOptions): Handler<IdentityDefinition, 'GetPluginCapabilities'> {
  const services = pluginServices(options).map((type) => ({ service: { type } }));
  return async () => ({ capabilities: [...services, { volumeExpansion: { type: 'ONLINE' } }] });
}
