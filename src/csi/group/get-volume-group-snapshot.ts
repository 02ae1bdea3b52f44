import type { GroupControllerDefinition } from '../../gen/csi/v1/GroupController.ts';
import type { Handler } from '../../rpc/types.ts';
import type { GroupService } from '../../volumes/group-service.ts';
import type { CsiOptions } from '../options.ts';
import { parseGroupRequest } from '../parse/group.ts';
import { renderGroupSnapshot } from '../render/snapshot.ts';

export function getVolumeGroupSnapshot(
  groups: GroupService,
  options: CsiOptions,
): Handler<GroupControllerDefinition, 'GetVolumeGroupSnapshot'> {
  return async (request, { signal }) => ({
    groupSnapshot: renderGroupSnapshot(await groups.get(parseGroupRequest(request), signal), options),
  });
}
