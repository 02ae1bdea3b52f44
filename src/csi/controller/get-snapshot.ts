import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { SnapshotService } from '../../volumes/snapshot-service.ts';
import type { CsiOptions } from '../options.ts';
import { checkUnusedMaps, requiredId } from '../parse/fields.ts';
import { renderSnapshot } from '../render/snapshot.ts';

export function getSnapshot(
  snapshots: SnapshotService,
  options: CsiOptions,
): Handler<ControllerDefinition, 'GetSnapshot'> {
  return async ({ snapshotId, secrets }, { signal }) => {
    const id = requiredId('snapshot_id', snapshotId);
    checkUnusedMaps({ secrets });
    return { snapshot: renderSnapshot(await snapshots.get(id, signal), options) };
  };
}
