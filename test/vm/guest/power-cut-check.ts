/** Whether everything is there that was acknowledged before the power was cut, and nothing else. */
import { groupId, type SnapshotId, snapshotId } from '../../../src/core/ids.ts';
import { NODE, type Rig } from '../../support/rig.ts';
import type { World } from './power-cut-log.ts';
import type { Texts } from './power-cut-texts.ts';

/**
 * Corrects the world by what became of what was under way.
 * @throws Error with the first thing that is not as it should be
 */
export async function checkWorld(world: World, rig: Rig, texts: Texts): Promise<void> {
  const unsure = (name: string) => world.begun?.name === name;
  await checkVolumes(world, rig, texts, unsure);
  const { items } = await rig.backend.listSnapshots({}, {});
  const strange = new Set(items.map(({ id }) => id));
  for (const [name, text] of Object.entries(world.snapshots)) {
    const id = snapshotId(NODE, name);
    if (strange.delete(id)) await expectSnapshot(id, text);
    else if (unsure(name)) delete world.snapshots[name];
    else throw new Error(`snapshot ${name} is lost`);
  }
  for (const [name, members] of Object.entries(world.groups)) {
    const record = await rig.backend.getGroup(groupId(NODE, name));
    if (!record && unsure(name)) {
      delete world.groups[name];
      continue;
    }
    if (record?.snapshots.length !== Object.keys(members).length) throw new Error(`group ${name} is lost, or half`);
    for (const { id, sourceVolumeId } of record.snapshots) {
      if (!strange.delete(id)) throw new Error(`snapshot ${id} of group ${name} is lost`);
      await expectSnapshot(id, members[sourceVolumeId]);
    }
  }
  if (strange.size > 0) throw new Error(`snapshots that were deleted, or never asked for: ${[...strange].join(', ')}`);
  world.begun = null;

  async function expectSnapshot(id: SnapshotId, text: string | undefined): Promise<void> {
    const snapshot = await rig.backend.getSnapshot(id);
    await rig.create('look', snapshot?.sizeBytes ?? 0n, { kind: 'snapshot', id });
    const found = await texts.read('look');
    if (found !== text) throw new Error(`snapshot ${id} holds ${found}, not ${text}`);
    await texts.close('look');
    await rig.backend.deleteVolume(rig.volumeId('look'));
  }
}

async function checkVolumes(world: World, rig: Rig, texts: Texts, unsure: (name: string) => boolean): Promise<void> {
  const { items } = await rig.backend.listVolumes({});
  const volumes = new Map(items.map((volume) => [volume.name, volume]));
  for (const [name, { text, bytes }] of Object.entries(world.volumes)) {
    const volume = volumes.get(name);
    if (!volume && unsure(name)) {
      delete world.volumes[name];
      continue;
    }
    if (!volume) throw new Error(`volume ${name} is lost`);
    if (volume.capacityBytes < BigInt(bytes)) throw new Error(`volume ${name} is smaller than ${bytes}`);
    const size = await texts.size(name);
    if (size < volume.capacityBytes) throw new Error(`volume ${name} has ${size} of ${volume.capacityBytes} bytes`);
    const found = await texts.read(name);
    const other = unsure(name) ? world.begun?.text : undefined;
    if (found !== text && found !== other) throw new Error(`volume ${name} holds ${found}, not ${text}`);
    world.volumes[name] = { text: found, bytes };
  }
  for (const [name, { id }] of volumes) {
    if (name in world.volumes) continue;
    if (!unsure(name)) throw new Error(`volume ${name} was deleted and is back`);
    // Made, and not yet what it was to become.
    await rig.backend.detach(id);
    await rig.backend.deleteVolume(id);
  }
}
