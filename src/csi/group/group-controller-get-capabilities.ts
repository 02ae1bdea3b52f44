import type { GroupControllerDefinition } from '../../gen/csi/v1/GroupController.ts';
import type { Handler } from '../../rpc/types.ts';
import { groupRpcs } from '../capabilities.ts';

export function groupControllerGetCapabilities(): Handler<GroupControllerDefinition, 'GroupControllerGetCapabilities'> {
  const capabilities = groupRpcs().map((type) => ({ rpc: { type } }));
  return async () => ({ capabilities });
}
