import type { Backend } from '../core/backend.ts';
import { cancelled, notFound } from '../core/errors.ts';
import type { VolumeId } from '../core/ids.ts';
import type { Volume } from '../core/volume.ts';
import { openForFreeze, thawFilesystem, unlessShutDown } from '../host/freeze.ts';

/** What the node's operations work with. */
export interface NodeContext {
  readonly backend: Backend;
  /** The driver's own folder, without symbolic links: no place for a volume, which would hide the pool. */
  readonly dataDir: string;
}

/** @throws DriverError not-found */
export async function requireVolume({ backend }: NodeContext, id: VolumeId): Promise<Volume> {
  const volume = await backend.getVolume(id);
  if (!volume) throw notFound('volume', id);
  return volume;
}

/**
 * Before the last unmount: a filesystem that is unmounted frozen keeps its device busy, and nobody can reach it any more
 * to thaw it (docs/design.md, invariant 5). One that has shut down (an XFS does after an I/O error, when its pool is full)
 * can't be opened, and must be unmounted all the same.
 */
export async function thaw(mountPoint: string): Promise<void> {
  await using root = await unlessShutDown(openForFreeze(mountPoint));
  if (root) await thawFilesystem(root.fd);
}

/** Between two steps: ends here when the signal has fired. @throws DriverError what the signal says, cancelled unless told */
export function checkCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled('the call', signal);
}
