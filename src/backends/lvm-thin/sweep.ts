/**
 * At start: removes what a crash left uncommitted. It goes by names and tags that this backend gives, and touches nothing
 * else, whatever is in the group.
 */

import { failpoint } from '../../core/failpoint.ts';
import type { NodeName } from '../../core/ids.ts';
import type { Logger } from '../../core/observe.ts';
import { isDecidedElsewhere } from '../../core/round.ts';
import { listMapped } from '../../host/device-mapper.ts';
import { probeName, readOnlyName } from './devices.ts';
import { PENDING_TAG, VOLUME_NAME } from './layout.ts';
import type { Pool } from './pool.ts';
import { cutsIn } from './store.ts';

export async function sweep(pool: Pool, node: NodeName, log: Logger): Promise<void> {
  const { lvm } = pool;
  await sweepProbes(pool);
  const listed = (await lvm.list()).filter(({ poolName }) => poolName === pool.name);
  const pending = listed.filter(({ name, tags }) => VOLUME_NAME.test(name) && tags.includes(PENDING_TAG));
  for (const { name } of pending) {
    log.info({ volume: name }, 'removing a volume that was never committed');
    await pool.mapper.remove(readOnlyName(lvm.group, name));
    await pool.change(['lvremove', '-y', lvm.pathOf(name)]);
  }
  await failpoint('sweep.volumes');
  for (const { token, members, record, sealed } of cutsIn(listed)) {
    // See `Backend.sealCut` for the one kind that stays.
    if (record && (!sealed || isDecidedElsewhere(record.group, node))) continue;
    log.info({ token }, 'removing a cut that was never committed');
    await pool.change(['lvremove', '-y', ...members.map(({ name }) => lvm.pathOf(name))]);
  }
  await failpoint('sweep.cuts');
}

/** Removes the probe devices that an interrupted look at a thin device has left. */
async function sweepProbes({ lvm, mapper }: Pool): Promise<void> {
  for (const { name } of await listMapped()) {
    if (name.startsWith(probeName(lvm.group, ''))) await mapper.remove(name);
  }
}
