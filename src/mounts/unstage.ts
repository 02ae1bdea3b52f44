import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { unmount } from '../host/mount.ts';
import { type NodeContext, thaw } from './context.ts';
import { canonical } from './paths.ts';
import { locate, placedAt, placedElsewhere } from './placement.ts';
import type { UnstageRequest } from './requests.ts';

/**
 * Takes the volume's filesystem off the staging folder, and its devices off the node. What was never staged succeeds.
 * @throws DriverError failed-precondition while it is published: a device that goes away under a published node would
 *   leave that node to whichever volume gets its number next
 */
export async function unstage(context: NodeContext, request: UnstageRequest): Promise<void> {
  const { backend } = context;
  const { volumeId } = request;
  const stagingPath = await canonical(request.stagingPath);
  const placement = await locate(backend, volumeId);
  if (placement.devices.length === 0) return;
  const [elsewhere] = placedElsewhere(placement, [stagingPath]);
  if (elsewhere) throw new DriverError('failed-precondition', `the volume is still in use at ${elsewhere.path}`);
  if (stagingPath !== undefined && placedAt(placement, stagingPath, 'staging_target_path')) {
    await thaw(stagingPath);
    await unmount(stagingPath);
    await failpoint('unstage.unmounted');
  }
  await backend.detach(volumeId);
  await failpoint('unstage.detached');
}
