import { invalidArgument } from '../core/errors.ts';
import { memberSnapshotId, nodeOf, type VolumeId } from '../core/ids.ts';
import type { GroupIntent } from '../core/round.ts';

/** The id of the snapshot of one of its volumes. */
export function memberIdOf(intent: GroupIntent, volumeId: VolumeId): string {
  return memberSnapshotId(nodeOf('volume', volumeId) ?? '', intent.name, volumeId);
}

/**
 * CSI specification, "DeleteVolumeGroupSnapshot Errors" and "GetVolumeGroupSnapshot Errors": snapshot list mismatch.
 * @throws DriverError invalid-argument
 */
export function confirmMembers(intent: GroupIntent, snapshotIds: readonly string[]): void {
  const own = intent.volumeIds.map((volumeId) => memberIdOf(intent, volumeId));
  const given = new Set(snapshotIds);
  if (given.size !== own.length || !isSubset(own, [...given])) {
    throw invalidArgument(
      'snapshot_ids',
      `are not the ${own.length} snapshots of group snapshot ${intent.id} (${snapshotIds.length} were given)`,
    );
  }
}

export function isSubset(some: readonly string[], all: readonly string[]): boolean {
  const set = new Set(all);
  return some.every((each) => set.has(each));
}
