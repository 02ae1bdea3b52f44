/** Volumes staged, published, and taken off the node again. */
import { rmdir } from 'node:fs/promises';
import { BLOCK, type Capability, type FsName, mountCapability } from '../../support/csi.ts';
import { SIZES, type World } from '../world.ts';
import type { Scenario } from './scenario.ts';

const NAME = 'staged';
const EXT4 = mountCapability('ext4');
let volumeId = '';
let sourceId = '';

async function make(world: World, fsType: FsName, capability: Capability): Promise<void> {
  volumeId = await world.create(NAME, SIZES[fsType], capability);
}

/** A volume with a filesystem, and a copy of it that is larger. */
async function makeCopy(world: World, fsType: FsName, bytes: number): Promise<void> {
  const capability = mountCapability(fsType);
  sourceId = await world.create('original', SIZES[fsType], capability);
  await world.stage(sourceId, 'original', capability);
  await world.unstage(sourceId, 'original');
  await copy(world, fsType, bytes);
}

async function copy(world: World, fsType: FsName, bytes: number): Promise<void> {
  const { volume } = await world.csi.controller.CreateVolume({
    name: NAME,
    capacityRange: { requiredBytes: String(bytes) },
    volumeCapabilities: [mountCapability(fsType)],
    volumeContentSource: { volume: { volumeId: sourceId } },
  });
  volumeId = volume?.volumeId ?? '';
}

async function remove(world: World): Promise<void> {
  await world.unstage(volumeId, NAME);
  await world.deleteVolume(volumeId);
}

/** As kubelet does when a volume was deleted. */
async function cleanUp(world: World): Promise<void> {
  await remove(world);
  await rmdir(await world.place(`${NAME}-staged`));
}

async function cleanUpCopy(world: World): Promise<void> {
  await cleanUp(world);
  await world.deleteVolume(sourceId);
  await rmdir(await world.place('original-staged'));
}

/** What kubelet sees of it. */
async function stats(world: World, place: string): Promise<unknown> {
  const { usage } = await world.csi.node.NodeGetVolumeStats({ volumeId, volumePath: await world.place(place) });
  return usage.map(({ unit, total }) => ({ unit, total }));
}

async function stage(world: World, capability: Capability): Promise<void> {
  await world.stage(volumeId, NAME, capability);
}

export const MOUNT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'a blank volume is staged with a filesystem',
    points: {
      'stage.attached': 'unseen',
      'file.written@1': 'unseen',
      'stage.format': 'unseen',
      'stage.formatted': 'unseen',
      'file.written@2': 'unseen',
      'stage.ready': 'unseen',
      'stage.mounted': 'unseen',
      'stage.grown': 'unseen',
    },
    prepare: async (world) => {
      await make(world, 'ext4', EXT4);
      await stage(world, EXT4);
      await remove(world);
      await make(world, 'ext4', EXT4);
    },
    act: async (world) => {
      await stage(world, EXT4);
      return await stats(world, `${NAME}-staged`);
    },
    revert: async (world) => {
      await remove(world);
      await make(world, 'ext4', EXT4);
    },
    cleanUp,
  },
  {
    name: 'a larger copy is staged, and its filesystem grows',
    points: { 'stage.attached': 'unseen', 'stage.ready': 'unseen', 'stage.mounted': 'unseen' },
    prepare: async (world) => {
      await makeCopy(world, 'ext4', 2 * SIZES.ext4);
      await stage(world, EXT4);
      await remove(world);
      await copy(world, 'ext4', 2 * SIZES.ext4);
    },
    act: async (world) => {
      await stage(world, EXT4);
      return await stats(world, `${NAME}-staged`);
    },
    revert: async (world) => {
      await remove(world);
      await copy(world, 'ext4', 2 * SIZES.ext4);
    },
    cleanUp: cleanUpCopy,
  },
  {
    name: 'a block volume is staged and published',
    points: {
      'stage.raw': 'unseen',
      'file.written': 'unseen',
      'publish.target': 'unseen',
      'publish.mounted': 'unseen',
    },
    prepare: async (world) => {
      await make(world, 'ext4', BLOCK);
      await stage(world, BLOCK);
      await remove(world);
      await make(world, 'ext4', BLOCK);
    },
    act: async (world) => {
      await stage(world, BLOCK);
      await world.publish(volumeId, NAME, BLOCK);
      return await stats(world, NAME);
    },
    revert: async (world) => {
      await world.unpublish(volumeId, NAME);
      await remove(world);
      await make(world, 'ext4', BLOCK);
    },
    cleanUp,
  },
  {
    name: 'a mounted volume is published',
    points: { 'publish.target': 'unseen', 'publish.mounted': 'unseen' },
    prepare: async (world) => {
      await make(world, 'ext4', EXT4);
      await stage(world, EXT4);
    },
    act: async (world) => {
      await world.publish(volumeId, NAME, EXT4);
      return await stats(world, NAME);
    },
    revert: (world) => world.unpublish(volumeId, NAME),
    cleanUp,
  },
  {
    name: 'a mounted volume is taken off the node',
    points: {
      'unpublish.unmounted': 'unseen',
      'unpublish.removed': 'unseen',
      'unstage.unmounted': 'unseen',
      'unstage.detached': 'unseen',
    },
    prepare: async (world) => {
      await make(world, 'ext4', EXT4);
      await stage(world, EXT4);
      await world.publish(volumeId, NAME, EXT4);
    },
    act: async (world) => {
      await world.unpublish(volumeId, NAME);
      await world.unstage(volumeId, NAME);
    },
    revert: async (world) => {
      await stage(world, EXT4);
      await world.publish(volumeId, NAME, EXT4);
    },
    cleanUp: async (world) => {
      await world.unpublish(volumeId, NAME);
      await cleanUp(world);
    },
  },
];
