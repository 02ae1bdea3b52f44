import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CapacityPolicy } from '../../core/capacity.ts';
import type { PoolInspection } from '../../core/pool-inspection.ts';
import { Lvm } from '../../host/lvm/lvm.ts';
import { measureCapacity } from './capacity.ts';
import { Devices } from './devices.ts';
import { lookAtPool } from './pool.ts';
import { Store } from './store.ts';

/** Reads a pool and changes nothing; the process that owns it may go on meanwhile. */
export async function inspectLvmThinPool(
  { volumeGroup, thinPool }: { readonly volumeGroup: string; readonly thinPool: string },
  policy: CapacityPolicy,
): Promise<PoolInspection> {
  // The configuration of its own: the owner's is the owner's.
  const folder = await mkdtemp(path.join(tmpdir(), 'cofferdam-lvm-'));
  try {
    const lvm = await Lvm.open(volumeGroup, folder);
    await using pool = await lookAtPool(lvm, thinPool);
    const place = lvm.pathOf(thinPool);
    const active = (await pool.mapper.find(await pool.target())) !== undefined;
    if (!active) return { folder: place, mounted: false, volumes: [], cuts: [] };
    const store = Store.read((await lvm.list()).filter(({ poolName }) => poolName === thinPool));
    const devices = new Devices(pool);
    const volumes = store.volumes.page({}).items;
    const attached = await Promise.all(volumes.map(({ id }) => devices.of(id)));
    return {
      folder: place,
      mounted: true,
      capacity: await measureCapacity(pool, policy, store.promisedBytes),
      volumes: volumes.map((volume, i) => ({ volume, devices: attached[i] ?? [] })),
      cuts: [...store.cuts()],
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}
