/** Rounds: a snapshot, and a group of all mounted volumes; and their deletion. */

import { hasCode } from '../../../src/core/errors.ts';
import { NO_FENCE_PARAMETER } from '../../../src/core/names.ts';
import type { World } from '../world.ts';
import type { Outcome, Scenario } from './scenario.ts';

const NAME = 'taken';
let snapshotId = '';
let groupSnapshotId = '';
let snapshotIds: readonly string[] = [];

async function snapshot(world: World): Promise<unknown> {
  const sourceVolumeId = world.volumeIds[0] ?? '';
  const { snapshot: taken } = await world.csi.controller.CreateSnapshot({ name: NAME, sourceVolumeId });
  snapshotId = taken?.snapshotId ?? '';
  return taken;
}

async function group(world: World, parameters: Record<string, string> = {}): Promise<unknown> {
  const { groupSnapshot } = await world.csi.group.CreateVolumeGroupSnapshot({
    name: NAME,
    sourceVolumeIds: world.volumeIds,
    parameters,
  });
  groupSnapshotId = groupSnapshot?.groupSnapshotId ?? '';
  snapshotIds = groupSnapshot?.snapshots.map((member) => member.snapshotId) ?? [];
  return groupSnapshot;
}

async function deleteSnapshot(world: World): Promise<void> {
  await world.csi.controller.DeleteSnapshot({ snapshotId });
}

async function deleteGroup(world: World): Promise<void> {
  await world.csi.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
}

async function peekSnapshot(world: World): Promise<unknown> {
  const { entries } = await world.csi.controller.ListSnapshots({ snapshotId });
  return entries[0]?.snapshot ?? undefined;
}

/** @throws Error when there is half of one */
async function peekGroup(world: World): Promise<unknown> {
  const { entries } = await world.csi.controller.ListSnapshots({});
  const members = entries.filter((entry) => entry.snapshot?.groupSnapshotId === groupSnapshotId);
  try {
    const answer = await world.csi.group.GetVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
    if (members.length !== snapshotIds.length) throw new Error(`${members.length} members are listed`);
    return answer.groupSnapshot;
  } catch (error) {
    if (!hasCode(error, 'not-found')) throw error;
    if (members.length > 0) throw new Error(`there is no group, but ${members.length} members are listed`);
    return undefined;
  }
}

/** In the order of the round. The rename that commits is the only line between nothing and all. */
const ROUND: Readonly<Record<string, Outcome>> = {
  'round.prepare': 'absent',
  'snapshot.prepared': 'absent',
  'fence.journaled': 'absent',
  'fence.armed': 'absent',
  'round.freeze': 'absent',
  'round.frozen': 'absent',
  'snapshot.cut': 'absent',
  'snapshot.cut@2': 'absent',
  'round.cut': 'absent',
  'journal.remove': 'absent',
  'round.thawed': 'absent',
  'snapshot.synced': 'absent',
  // The first is the journal's.
  'file.written@2': 'absent',
  'file.named@2': 'absent',
  'snapshot.sealed': 'absent',
  'round.sealed': 'absent',
  'coordinator.prepared-home': 'absent',
  'coordinator.prepared': 'absent',
  'coordinator.frozen': 'absent',
  'coordinator.decide': 'absent',
  'coordinator.decided': 'present',
  'file.renamed': 'present',
  'snapshot.committed': 'present',
  'round.committed': 'present',
  // A round that fails undoes itself.
  'round.frozen=fail:EIO,round.abort': 'absent',
  'round.sealed=fail:EIO,trash.remove': 'absent',
};

const DELETION: Readonly<Record<string, Outcome>> = {
  'snapshot.delete.start': 'present',
  'file.unlinked': 'absent',
  'snapshot.delete.unrecorded': 'absent',
  'trash.remove': 'absent',
};

export const SNAPSHOT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'a group snapshot of volumes that are written to',
    points: ROUND,
    act: (world) => group(world),
    revert: deleteGroup,
    peek: peekGroup,
    answersWithIt: true,
  },
  {
    name: 'a snapshot of a volume that is written to',
    points: {
      'round.frozen': 'absent',
      'snapshot.cut': 'absent',
      'round.thawed': 'absent',
      'coordinator.decide': 'absent',
      'snapshot.committed': 'present',
    },
    act: snapshot,
    revert: deleteSnapshot,
    peek: peekSnapshot,
    answersWithIt: true,
  },
  {
    name: 'a group snapshot without its fence, as the negative control of prove takes it',
    points: { 'round.unfenced-pause': 'absent' },
    act: (world) => group(world, { [NO_FENCE_PARAMETER]: 'true' }),
    revert: deleteGroup,
    peek: peekGroup,
    answersWithIt: true,
  },
  {
    name: 'a group snapshot is deleted',
    points: DELETION,
    background: true,
    prepare: async (world) => void (await group(world)),
    act: deleteGroup,
    revert: async (world) => void (await group(world)),
    cleanUp: deleteGroup,
    peek: peekGroup,
  },
  {
    name: 'a snapshot is deleted',
    points: { 'file.unlinked': 'absent', 'snapshot.delete.unrecorded': 'absent' },
    prepare: async (world) => void (await snapshot(world)),
    act: deleteSnapshot,
    revert: async (world) => void (await snapshot(world)),
    cleanUp: deleteSnapshot,
    peek: peekSnapshot,
  },
];
