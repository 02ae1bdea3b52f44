import { failpoint } from '../core/failpoint.ts';
import { unmount } from '../host/mount.ts';
import { type NodeContext, thaw } from './context.ts';
import { unmarkTarget } from './exclusive.ts';
import { canonical, refuseInside, removeTarget } from './paths.ts';
import { locate, placedAt, placedElsewhere } from './placement.ts';
import type { UnpublishRequest } from './requests.ts';

/**
 * Takes the volume off a target, and removes the target. What was never published succeeds; a volume that is not known
 * too, and then nothing is touched. Nothing tells a target from the folder that the volume is staged on: the caller does.
 * @throws DriverError failed-precondition when something else is mounted there, or holds data there
 */
export async function unpublish(context: NodeContext, { targetPath, volumeId }: UnpublishRequest): Promise<void> {
  const { backend } = context;
  const target = await canonical(targetPath);
  if (target === undefined || !(await backend.getVolume(volumeId))) return;
  refuseInside('target_path', target, context.dataDir);
  const placement = await locate(backend, volumeId);
  const present = placedAt(placement, target, 'target_path');
  if (present) {
    const last = placedElsewhere(placement, [target]).length === 0;
    if (present.kind === 'filesystem' && last) await thaw(target);
    await unmount(target);
    await failpoint('unpublish.unmounted');
  }
  await unmarkTarget(context, volumeId, target);
  await removeTarget(target);
  await failpoint('unpublish.removed');
}
