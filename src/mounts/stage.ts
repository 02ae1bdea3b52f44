import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { FsType, Volume } from '../core/volume.ts';
import { CommandError } from '../host/exec.ts';
import { canGrowMounted, forgetBtrfs } from '../host/filesystem.ts';
import { mount, unmount } from '../host/mount.ts';
import { mountAt } from '../host/mount-table.ts';
import { isReadOnly, mountFlags } from './access-modes.ts';
import { ensureFilesystem, plannedFsType } from './content.ts';
import { checkCancelled, type NodeContext, requireVolume } from './context.ts';
import { growBeforeMount, growMounted } from './grow.ts';
import { differingFlags } from './mount-flags.ts';
import { applyMountGroup } from './mount-group.ts';
import { requireFolder } from './paths.ts';
import { type FilesystemMount, locate, placedAt } from './placement.ts';
import type { StageRequest } from './requests.ts';
import { howOtherwise, isBlockReadOnly, isStagedAsBlock, type MountAccess, requireKnown } from './staged.ts';

type MountRequest = StageRequest & { readonly capability: { readonly access: MountAccess } };

/** Makes a volume a device of this node and, unless it is used as one, mounts its filesystem on the staging folder. */
export async function stage(context: NodeContext, request: StageRequest, signal: AbortSignal): Promise<void> {
  const volume = await requireVolume(context, request.volumeId);
  const stagingPath = await requireFolder('staging_target_path', request.stagingPath, context.dataDir);
  const canonical = { ...request, stagingPath };
  const attachedBefore = (await context.backend.devices(volume.id)).length > 0;
  try {
    if (isMountRequest(canonical)) await stageFilesystem(context, volume, canonical, signal);
    else await stageBlock(context, volume, canonical);
  } catch (error) {
    if (!attachedBefore) await release(context, request);
    throw error;
  }
}

async function stageBlock(context: NodeContext, volume: Volume, request: StageRequest): Promise<void> {
  const { backend } = context;
  const placement = await locate(backend, volume.id);
  if (placement.filesystems.length > 0) throw stagedOtherwise('with a filesystem');
  const readOnly = isReadOnly(request.capability);
  if (isStagedAsBlock(placement, volume.content)) requireMode(isBlockReadOnly(placement), readOnly);
  const { kind } = volume.content;
  // Before anybody can write to it: from now on it is never formatted.
  if (kind === 'blank' || kind === 'formatting') await backend.setContent(volume.id, { kind: 'raw' });
  await failpoint('stage.raw');
  await backend.attach(volume.id, { readOnly });
}

async function stageFilesystem(
  context: NodeContext,
  volume: Volume,
  request: MountRequest,
  signal: AbortSignal,
): Promise<void> {
  const { capability, stagingPath } = request;
  const readOnly = isReadOnly(capability);
  const placement = await locate(context.backend, volume.id);
  if (placement.nodes.length > 0) throw stagedOtherwise('as a block device');
  const present = placedAt(placement, stagingPath, 'staging_target_path');
  if (present?.kind === 'filesystem') requireStagedSo(present, capability.access, readOnly);
  // At two places it could be unstaged from neither: from outside, the other one looks like a target.
  const other = present ? undefined : placement.filesystems.find(({ whole }) => whole);
  if (other) throw new DriverError('failed-precondition', `the volume is mounted at ${other.path} already`);
  const mounted =
    present?.kind === 'filesystem' ? present : await mountVolume(context, volume, request, readOnly, signal);
  await failpoint('stage.mounted');
  if (readOnly) return;
  const fsType = requireKnown(mounted);
  // Also after a crash between the mount and this. What can't grow mounted has grown before.
  if (await canGrowMounted(fsType)) await growMounted(mounted.device.path, fsType, stagingPath);
  await failpoint('stage.grown');
  const { mountGroup } = capability.access;
  if (mountGroup !== undefined) await applyMountGroup(stagingPath, mountGroup, signal);
}

async function mountVolume(
  context: NodeContext,
  volume: Volume,
  { capability: { access }, stagingPath }: MountRequest,
  readOnly: boolean,
  signal: AbortSignal,
): Promise<Pick<FilesystemMount, 'device' | 'fsType'>> {
  plannedFsType(volume, access.fsType);
  // For writing even when it is used read-only: making the filesystem and replaying its journal write. The mount is what
  // is read-only.
  const device = await context.backend.attach(volume.id, { readOnly: false });
  await failpoint('stage.attached');
  const fsType = await ensureFilesystem(context, volume, device, access.fsType, signal);
  await growBeforeMount(context, { id: volume.id, device: device.path, fsType, readOnly }, signal);
  await failpoint('stage.ready');
  checkCancelled(signal);
  // Of options that contradict each other the last counts: the flags in their order, and ours after them.
  const options = [
    ...mountFlags(access.mountFlags),
    ...(readOnly ? ['ro'] : []),
    // A copy has the UUID of its source, and XFS mounts no two with the same.
    ...(fsType === 'xfs' ? ['nouuid'] : []),
  ];
  if (fsType === 'btrfs') await forgetBtrfs(device.path);
  try {
    await mount({ source: device.path, target: stagingPath, fsType, options });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new DriverError('failed-precondition', `the volume can't be mounted: ${whyRefused(fsType, error)}`, {
      cause: error,
    });
  }
  await requireInForce(fsType, stagingPath, access.mountFlags);
  return { device, fsType };
}

/**
 * A copy keeps the UUID of its source: to give it another, btrfstune rewrites what an interruption makes unmountable, and
 * a log that is not replayed yet. Linux mounts copies side by side from 6.7 on (temp_fsid), for what has one device.
 */
function whyRefused(fsType: FsType, { stderr }: CommandError): string {
  // mount(8) says "wrong fs type, bad option, bad superblock" for all three: so do we.
  if (fsType !== 'btrfs' || !stderr.includes('File exists')) return stderr.trim();
  return 'a btrfs with the same UUID, its source or another copy, is mounted on this node; before Linux 6.7 only one can be';
}

/** Flags that contradict each other, or mean nothing to this kernel: better now than for the caller who asks again. */
async function requireInForce(fsType: FsType, stagingPath: string, flags: readonly string[]): Promise<void> {
  const mounted = await mountAt(stagingPath);
  if (!mounted) return;
  const differing = differingFlags(fsType, [...mounted.options, ...mounted.superOptions], flags);
  if (differing.length === 0) return;
  await unmount(stagingPath);
  const reason = `the kernel does not do as asked with ${differing.join(', ')}`;
  throw new DriverError('failed-precondition', `volume_capability.mount.mount_flags: ${reason}`);
}

/** A stage that failed is not always followed by an unstage: leave nothing attached that would block a deletion. */
async function release({ backend }: NodeContext, { volumeId }: StageRequest): Promise<void> {
  try {
    const { filesystems, nodes } = await locate(backend, volumeId);
    if (filesystems.length === 0 && nodes.length === 0) await backend.detach(volumeId);
  } catch {
    // The failure of the stage says more; what is left is found by the next stage or unstage.
  }
}

/** CSI specification, "NodeStageVolume Errors": published already, but incompatible. */
function requireStagedSo(present: FilesystemMount, access: MountAccess, readOnly: boolean): void {
  requireMode(present.readOnly, readOnly);
  const otherwise = howOtherwise(present, access);
  if (otherwise !== undefined) throw stagedOtherwise(otherwise);
}

function requireMode(stagedReadOnly: boolean, readOnly: boolean): void {
  if (stagedReadOnly !== readOnly) throw stagedOtherwise(stagedReadOnly ? 'read-only' : 'for writing');
}

function stagedOtherwise(how: string): DriverError {
  return new DriverError('already-exists', `the volume is staged ${how} already`);
}

function isMountRequest(request: StageRequest): request is MountRequest {
  return request.capability.access.kind === 'mount';
}
