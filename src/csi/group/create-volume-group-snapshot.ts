import type { GroupControllerDefinition } from '../../gen/csi/v1/GroupController.ts';
import type { Handler } from '../../rpc/types.ts';
import type { GroupService } from '../../volumes/group-service.ts';
import type { CsiOptions } from '../options.ts';
import { parseCreateGroup } from '../parse/group.ts';
import { renderGroupSnapshot } from '../render/snapshot.ts';

export function createVolumeGroupSnapshot(
  groups: GroupService,
  options: CsiOptions,
): Handler<GroupControllerDefinition, 'CreateVolumeGroupSnapshot'> {
  return async (request, { signal }) => ({
    groupSnapshot: renderGroupSnapshot(await groups.create(parseCreateGroup(request), signal), options),
  });
}
