import type { ControllerDefinition } from '../../gen/csi/v1/Controller.ts';
import type { Handler } from '../../rpc/types.ts';
import type { SnapshotService } from '../../volumes/snapshot-service.ts';
import type { CsiOptions } from '../options.ts';
import { parseListSnapshots } from '../parse/list.ts';
import { renderSnapshot } from '../render/snapshot.ts';

export function listSnapshots(
  snapshots: SnapshotService,
  options: CsiOptions,
): Handler<ControllerDefinition, 'ListSnapshots'> {
  return async (request, { signal }) => {
    const { items, nextToken } = await snapshots.list(parseListSnapshots(request), signal);
    return { entries: items.map((snapshot) => ({ snapshot: renderSnapshot(snapshot, options) })), nextToken };
  };
}
