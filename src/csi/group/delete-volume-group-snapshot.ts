import type { GroupControllerDefinition } from '../../gen/csi/v1/GroupController.ts';
import type { Handler } from '../../rpc/types.ts';
import type { GroupService } from '../../volumes/group-service.ts';
import { parseGroupRequest } from '../parse/group.ts';

export function deleteVolumeGroupSnapshot(
  groups: GroupService,
): Handler<GroupControllerDefinition, 'DeleteVolumeGroupSnapshot'> {
  return async (request, { signal }) => {
    await groups.delete(parseGroupRequest(request), signal);
    return {};
  };
}
