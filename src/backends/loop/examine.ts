/** What is wrong with volumes below their filesystems: the pool, and the images in it. */
import { stat } from 'node:fs/promises';
import type { Examination } from '../../core/backend.ts';
import { formatBytes } from '../../core/bytes.ts';
import { isErrno } from '../../core/errors.ts';
import { condition, type VolumeCondition } from '../../core/health.ts';
import type { Volume } from '../../core/volume.ts';
import { loopsOfDeleted } from '../../host/loop.ts';
import { mountAt } from '../../host/mount-table.ts';
import { hasShutDown, type PoolPlace, SHUT_DOWN } from './capacity.ts';
import type { Devices } from './devices.ts';
import type { Layout } from './layout.ts';

export async function examine(
  place: PoolPlace,
  layout: Layout,
  devices: Devices,
  volumes: readonly Volume[],
): Promise<readonly Examination[]> {
  const sick = await poolCondition(place);
  // Nothing can be told of what is in it, least of all that it is lost.
  if (sick) return volumes.map(() => ({ devices: [], conditions: [sick] }));
  const deleted = loopsOfDeleted();
  const [images, attached] = await Promise.all([
    Promise.all(volumes.map((volume) => imageConditions(layout, volume))),
    devices.ofAll(volumes.map(({ id }) => id)),
  ]);
  return volumes.map(({ id }, i) => {
    const orphans = (deleted.get(layout.volumeImage(id)) ?? []).map((device) =>
      condition('ImageDeleted', `${device} has an image that was deleted: what is in it ends with the device`),
    );
    return { devices: attached[i] ?? [], conditions: [...(images[i] ?? []), ...orphans.slice(0, 1)] };
  });
}

async function poolCondition(place: PoolPlace): Promise<VolumeCondition | undefined> {
  if (place.file !== undefined && !(await mountAt(place.folder))) {
    return condition('PoolNotMounted', 'the filesystem of the pool is not mounted');
  }
  return (await hasShutDown(place)) ? condition('PoolShutDown', SHUT_DOWN) : undefined;
}

/** The image grows before its record does, so one that is shorter was cut off. */
async function imageConditions(layout: Layout, { id, capacityBytes }: Volume): Promise<readonly VolumeCondition[]> {
  try {
    const { size } = await stat(layout.volumeImage(id), { bigint: true });
    if (size >= capacityBytes) return [];
    const sizes = `${formatBytes(size)}, and the volume ${formatBytes(capacityBytes)}`;
    return [condition('ImageTruncated', `the image of the volume has ${sizes}: its end is lost`)];
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    return [condition('ImageMissing', 'the image of the volume is not in the pool any more')];
  }
}
