import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { CapacityPolicy } from '../../core/capacity.ts';
import type { PoolInspection } from '../../core/pool-inspection.ts';
import { exists } from '../../host/exists.ts';
import { findLoops } from '../../host/loop.ts';
import { mountAt } from '../../host/mount-table.ts';
import { measureCapacity, type PoolPlace } from './capacity.ts';
import { Devices } from './devices.ts';
import { Layout } from './layout.ts';
import { Store } from './store.ts';

/** Reads a pool and changes nothing; the process that owns it may go on meanwhile. */
export async function inspectLoopPool(given: string, policy: CapacityPolicy): Promise<PoolInspection> {
  // As the mount table has it; a folder that is not there has no other name.
  const dataDir = await realpath(given).catch(() => given);
  const folder = path.join(dataDir, 'pool');
  const file = path.join(dataDir, 'pool.xfs');
  const own = await exists(file);
  const mounted = own ? (await mountAt(folder)) !== undefined : await exists(folder);
  if (!mounted) return { folder, mounted, volumes: [], cuts: [] };

  const layout = new Layout(folder);
  const store = Store.load(layout);
  const devices = new Devices(layout);
  const place: PoolPlace = own ? { folder, file } : { folder };
  const volumes = store.volumes.page({}).items;
  const [device] = own ? await findLoops(file) : [];
  const attached = await devices.ofAll(volumes.map(({ id }) => id));
  return {
    folder,
    mounted,
    ...(device && { device }),
    capacity: await measureCapacity(place, policy, store.promisedBytes),
    volumes: volumes.map((volume, i) => ({ volume, devices: attached[i] ?? [] })),
    cuts: [...store.cuts()],
  };
}
