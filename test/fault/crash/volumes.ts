/** Volumes made, copied, grown and deleted. */
import type { VolumeContentSource } from '../../../src/gen/csi/v1/VolumeContentSource.ts';
import type { Wire } from '../../../src/rpc/types.ts';
import { codeOf, mountCapability } from '../../support/csi.ts';
import { MiB, SIZES, type World } from '../world.ts';
import type { Scenario } from './scenario.ts';

const EXT4 = mountCapability('ext4');
const XFS = mountCapability('xfs');

const names = { made: 'made', snapshot: 'source of a copy', grown: 'grown' };
let madeId = '';
let snapshotId = '';
let grownId = '';

async function make(world: World, bytes: number, volumeContentSource?: Wire<VolumeContentSource>): Promise<unknown> {
  const { volume } = await world.csi.controller.CreateVolume({
    name: names.made,
    capacityRange: { requiredBytes: String(bytes) },
    volumeCapabilities: [EXT4],
    ...(volumeContentSource && { volumeContentSource }),
  });
  madeId = volume?.volumeId ?? '';
  return volume;
}

async function peekMade(world: World): Promise<unknown> {
  const { entries } = await world.csi.controller.ListVolumes({});
  return entries.find(({ volume }) => volume?.volumeId === madeId)?.volume;
}

/** From the record on it exists, whether or not its folder was synced: the kernel has seen no crash. */
const CREATION = {
  'volume.create.image': 'absent',
  'volume.create.synced': 'absent',
  'file.written': 'absent',
  'file.named': 'present',
  'volume.create.recorded': 'present',
} as const;

export const VOLUME_SCENARIOS: readonly Scenario[] = [
  {
    name: 'a blank volume is made',
    points: CREATION,
    act: (world) => make(world, SIZES.ext4),
    revert: (world) => world.deleteVolume(madeId),
    peek: peekMade,
    answersWithIt: true,
  },
  {
    name: 'a snapshot is restored to a larger volume',
    points: { 'volume.create.image': 'absent', 'volume.create.synced': 'absent', 'volume.create.recorded': 'present' },
    prepare: async (world) => {
      const sourceVolumeId = world.volumeIds[0] ?? '';
      const { snapshot } = await world.csi.controller.CreateSnapshot({ name: names.snapshot, sourceVolumeId });
      snapshotId = snapshot?.snapshotId ?? '';
    },
    act: (world) => make(world, 2 * SIZES.ext4, { snapshot: { snapshotId } }),
    revert: (world) => world.deleteVolume(madeId),
    cleanUp: async (world) => void (await world.csi.controller.DeleteSnapshot({ snapshotId })),
    peek: peekMade,
    answersWithIt: true,
  },
  {
    name: 'a volume that is written to is cloned',
    points: {
      // The first record written is the journal's.
      'file.written@1': 'absent',
      'fence.journaled': 'absent',
      'fence.armed': 'absent',
      'clone.frozen': 'absent',
      'volume.create.image': 'absent',
      'file.written@2': 'absent',
      'volume.create.recorded': 'present',
      'journal.remove': 'present',
    },
    act: (world) => make(world, SIZES.ext4, { volume: { volumeId: world.volumeIds[0] ?? '' } }),
    revert: (world) => world.deleteVolume(madeId),
    peek: peekMade,
    answersWithIt: true,
  },
  {
    name: 'a volume is deleted',
    points: {
      'volume.delete.start': 'present',
      'file.unlinked': 'absent',
      'volume.delete.unrecorded': 'absent',
      'trash.remove': 'absent',
    },
    background: true,
    prepare: async (world) => void (await make(world, SIZES.ext4)),
    act: (world) => world.deleteVolume(madeId),
    revert: async (world) => void (await make(world, SIZES.ext4)),
    cleanUp: (world) => world.deleteVolume(madeId),
    peek: peekMade,
  },
  {
    name: 'a mounted volume is expanded',
    points: {
      'volume.expand.image': 'unseen',
      'file.written': 'unseen',
      'volume.expand.recorded': 'unseen',
      'volume.expand.resized': 'unseen',
      'expand.grow': 'unseen',
      'expand.grown': 'unseen',
    },
    prepare: makeGrown,
    act: async (world) => {
      const requiredBytes = String(SIZES.xfs + 96 * MiB);
      const expansion = { volumeId: grownId, capacityRange: { requiredBytes } };
      const volumePath = await world.place('grown-staged');
      const controller = await world.csi.controller.ControllerExpandVolume(expansion);
      const node = await world.csi.node.NodeExpandVolume({ ...expansion, volumePath });
      const { usage } = await world.csi.node.NodeGetVolumeStats({ volumeId: grownId, volumePath });
      return { controller, node, total: usage.find(({ unit }) => unit === 'BYTES')?.total };
    },
    revert: async (world) => {
      await removeGrown(world);
      await makeGrown(world);
    },
    cleanUp: removeGrown,
  },
];

async function makeGrown(world: World): Promise<void> {
  grownId = await world.create(names.grown, SIZES.xfs, XFS);
  await world.stage(grownId, names.grown, XFS);
}

async function removeGrown(world: World): Promise<void> {
  await world.unstage(grownId, names.grown);
  const code = await codeOf(world.deleteVolume(grownId));
  if (code !== 'ok') throw new Error(`the volume could not be deleted: ${code}`);
}
