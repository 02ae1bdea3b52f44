/** At start, before anything is served: thaw what a dead agent and a dead guard left frozen. */
import { DriverError, messageOf } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { openForFreeze, thawFilesystem } from '../host/freeze.ts';
import { mountsOfDevice } from '../host/mount-table.ts';
import { writeRcuExpedited } from '../host/rcu.ts';
import type { FreezeJournal } from './journal.ts';

/**
 * Thaws every filesystem the journal lists, restores rcu_expedited, and empties the journal.
 * @returns mount points that were found frozen
 * @throws DriverError unavailable when something may still be frozen: the driver must not serve then
 */
export async function recoverFrozen(journal: FreezeJournal): Promise<readonly string[]> {
  const thawed: string[] = [];
  const entries = await journal.list();
  for (const entry of entries) {
    for (const { devNumber } of entry.filesystems) {
      // By device, not by path: the mount may have been moved. One mount reaches the whole superblock.
      const mounted = (await mountsOfDevice(devNumber))[0];
      if (mounted && (await thawMount(mounted.mountPoint))) thawed.push(mounted.mountPoint);
    }
  }
  if (entries.length > 0) await failpoint('recovery.thawed');
  const rcu = entries.map(({ rcuExpedited }) => rcuExpedited).filter((value) => value !== undefined);
  if (rcu.length > 0) await writeRcuExpedited(Math.min(...rcu));
  for (const { token } of entries) await journal.remove(token);
  return thawed;
}

async function thawMount(mountPoint: string): Promise<boolean> {
  try {
    const handle = await openForFreeze(mountPoint);
    try {
      return await thawFilesystem(handle.fd);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new DriverError('unavailable', `${mountPoint} may be frozen and can't be thawed: ${messageOf(cause)}`, {
      cause,
    });
  }
}
