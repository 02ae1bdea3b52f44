import type { VolumeId } from '../core/ids.ts';
import type { FsType } from '../core/volume.ts';
import {
  canGrowMounted,
  checkToGrow,
  deviceBytes,
  filesystemBytes,
  growFilesystem,
  growUnmounted,
} from '../host/filesystem.ts';
import { type NodeContext, requireVolume } from './context.ts';

/** Whether a device has room that its filesystem does not use: after an expansion, or a restore to a larger size. */
export async function hasRoomToGrow(device: string, fsType: FsType): Promise<boolean> {
  return (await filesystemBytes(device, fsType)) < (await deviceBytes(device));
}

/**
 * Before the mount: grows what can't be grown after it, and finishes what was interrupted. Growing a mounted filesystem
 * is quicker, but not every process may do that to every type.
 * @throws DriverError failed-precondition for a filesystem with errors, unavailable while an interrupted growth still
 *   runs, cancelled before anything is changed
 */
export async function growBeforeMount(
  context: NodeContext,
  { id, device, fsType, readOnly }: Unmounted,
  signal: AbortSignal,
): Promise<void> {
  // As it is now: the filesystem may have been made in this call.
  const { content } = await requireVolume(context, id);
  if (fsType !== 'ext4' || (content.kind !== 'filesystem' && content.kind !== 'raw')) return;
  const { growing: interrupted = false, ...grown } = content;
  const grows = async () => !readOnly && (await hasRoomToGrow(device, fsType)) && !(await canGrowMounted(fsType));
  if (!interrupted && !(await grows())) return;
  await checkToGrow(device, { interrupted, signal });
  await context.backend.setContent(id, { ...grown, growing: true });
  await growUnmounted(device);
  await context.backend.setContent(id, grown);
}

interface Unmounted {
  readonly id: VolumeId;
  readonly device: string;
  readonly fsType: FsType;
  /** How it will be mounted. */
  readonly readOnly: boolean;
}

/**
 * Grows a mounted filesystem to its device, when there is anything to grow.
 * @throws DriverError failed-precondition where this process may not
 */
export async function growMounted(device: string, fsType: FsType, mountPoint: string): Promise<void> {
  if (await hasRoomToGrow(device, fsType)) await growFilesystem(fsType, device, mountPoint);
}
