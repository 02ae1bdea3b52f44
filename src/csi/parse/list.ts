import { invalidArgument } from '../../core/errors.ts';
import type { ListSnapshotsRequest__Output } from '../../gen/csi/v1/ListSnapshotsRequest.ts';
import type { ListRequest, ListSnapshotsRequest } from '../../volumes/requests.ts';
import { checkUnusedMaps, optionalId } from './fields.ts';

/** The token is checked by whoever made it; an invalid one is ABORTED, not INVALID_ARGUMENT. */
export function parseList(wire: { readonly maxEntries: number; readonly startingToken: string }): ListRequest {
  if (wire.maxEntries < 0) throw invalidArgument('max_entries', `${wire.maxEntries} is negative`);
  return { maxEntries: wire.maxEntries, startingToken: wire.startingToken };
}

export function parseListSnapshots(wire: ListSnapshotsRequest__Output): ListSnapshotsRequest {
  const page = parseList(wire);
  const sourceVolumeId = optionalId('source_volume_id', wire.sourceVolumeId);
  const snapshotId = optionalId('snapshot_id', wire.snapshotId);
  checkUnusedMaps({ secrets: wire.secrets });
  return {
    ...page,
    ...(sourceVolumeId !== undefined && { sourceVolumeId }),
    ...(snapshotId !== undefined && { snapshotId }),
  };
}
