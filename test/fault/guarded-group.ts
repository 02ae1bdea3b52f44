/** A group snapshot during which something happens to the driver or to its guard. */
import { expect } from '@jest/globals';
import { codeOf } from '../support/csi.ts';
import type { Footprint } from '../support/footprint.ts';
import { insist } from './crash/scenario.ts';
import type { World } from './world.ts';

/** Points at which a round has a guard, in their order. */
export const ARMED_TO_THAWED = [
  'fence.armed',
  'round.freeze',
  'round.frozen',
  'snapshot.cut',
  'snapshot.cut@2',
  'round.cut',
];
export const AFTER_THE_THAW = ['round.thawed', 'snapshot.sealed', 'coordinator.decide', 'snapshot.committed'];

/** Points of the guard itself, where it is a process of its own role. */
export const GUARD_POINTS = [
  'guard.armed',
  'guard.freeze',
  'guard.freeze@2',
  'guard.frozen',
  'guard.thaw',
  'guard.thawed',
];

export const group = (world: World) =>
  world.csi.group.CreateVolumeGroupSnapshot({ name: 'guarded', sourceVolumeIds: world.volumeIds });

/** `name=action`, or `name=action@pass`. */
export function armedAt(point: string, action: string): string {
  const [name, pass] = point.split('@');
  return `${name}=${action}${pass === undefined ? '' : `@${pass}`}`;
}

/** Starts a group snapshot that stops the driver at the point, and does something. @returns the code of the call */
export async function whileStopped(world: World, point: string, work: () => Promise<void>): Promise<string> {
  await world.serve.arm(armedAt(point, 'stop'));
  const code = codeOf(group(world));
  await world.serve.stopped();
  await world.serve.arm('');
  await work();
  return await code;
}

/** A retry succeeds, the filesystems take writes, and after the deletion all is as it was. */
export async function expectWell(world: World, before: Footprint): Promise<void> {
  await world.writers?.expectWriting();
  const { groupSnapshot } = await insist(() => group(world));
  expect(groupSnapshot?.snapshots).toHaveLength(world.volumeIds.length);
  const snapshotIds = groupSnapshot?.snapshots.map(({ snapshotId }) => snapshotId) ?? [];
  const groupSnapshotId = groupSnapshot?.groupSnapshotId ?? '';
  await world.csi.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
  await world.settled(before);
}
