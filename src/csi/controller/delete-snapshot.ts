import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { SnapshotService } from '../../volumes/snapshot-service.ts';
import { checkUnusedMaps, requiredId } from '../parse/fields.ts';

export function deleteSnapshot(snapshots: SnapshotService): Handler<ControllerDefinition, 'DeleteSnapshot'> {
  return async ({ snapshotId, secrets }, { signal }) => {
    const id = requiredId('snapshot_id', snapshotId);
    checkUnusedMaps({ secrets });
    await snapshots.delete(id, signal);
    return {};
  };
}
