import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { SnapshotService } from '../../volumes/snapshot-service.ts';
import type { CsiOptions } from '../options.ts';
import { parseCreateSnapshot } from '../parse/snapshot.ts';
import { renderSnapshot } from '../render/snapshot.ts';

export function createSnapshot(
  snapshots: SnapshotService,
  options: CsiOptions,
): Handler<ControllerDefinition, 'CreateSnapshot'> {
  return async (request, { signal }) => ({
    snapshot: renderSnapshot(await snapshots.create(parseCreateSnapshot(request), signal), options),
  });
}
