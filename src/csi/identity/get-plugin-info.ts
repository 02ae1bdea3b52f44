import { DRIVER_NAME } from '../../core/names.ts';
import type { IdentityDefinition } from '../../gen/csi/v1/Identity.ts';
import type { Handler } from '../../rpc/types.ts';
import type { CsiOptions } from '../options.ts';

export function getPluginInfo({ version }: CsiOptions): Handler<IdentityDefinition, 'GetPluginInfo'> {
  return async () => ({ name: DRIVER_NAME, vendorVersion: version });
}
