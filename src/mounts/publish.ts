import type { AttachedDevice } from '../core/backend.ts';
import { DriverError, invalidArgument } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { Content } from '../core/volume.ts';
import { bindMount } from '../host/mount.ts';
import { isExclusive, isReadOnly } from './access-modes.ts';
import { type NodeContext, requireVolume } from './context.ts';
import { exclusiveMount, markTarget } from './exclusive.ts';
import { applyMountGroup } from './mount-group.ts';
import { canonical, createTarget, removeTarget, requireParent } from './paths.ts';
import {
  type FilesystemMount,
  locate,
  type NodeMount,
  type Placement,
  placedAt,
  placedElsewhere,
} from './placement.ts';
import type { PublishRequest } from './requests.ts';
import { howOtherwise, isBlockReadOnly, isStagedAsBlock, type MountAccess } from './staged.ts';

type Mounted = FilesystemMount | NodeMount;

/** Makes a staged volume appear at a target, which is made for it: a folder, or a file for a device. */
export async function publish(context: NodeContext, request: PublishRequest, signal: AbortSignal): Promise<void> {
  const { content } = await requireVolume(context, request.volumeId);
  const { capability, volumeId } = request;
  const targetPath = await requireParent('target_path', request.targetPath, context.dataDir);
  const stagingPath = (await canonical(request.stagingPath)) ?? request.stagingPath;
  if (targetPath === stagingPath) throw invalidArgument('target_path', 'is the same as staging_target_path');
  const readOnly = request.readOnly || isReadOnly(capability);
  const placement = await locate(context.backend, volumeId);
  const staged = requireStaged(placement, content, capability.access.kind, stagingPath);
  if (!readOnly && (staged ? staged.readOnly : isBlockReadOnly(placement))) {
    throw new DriverError('failed-precondition', 'the volume is staged read-only');
  }
  const present = placedAt(placement, targetPath, 'target_path');
  if (staged && capability.access.kind === 'mount') requireStagedSo(staged, capability.access, present);
  const exclusive = isExclusive(capability.mode);
  const alone = await exclusiveMount(context, volumeId, placement);
  if (exclusive || alone) requireOnlyTarget(placement, stagingPath, targetPath);
  if (present) {
    requireSame(present, capability.access.kind, readOnly);
    if (exclusive !== (alone !== undefined)) throw publishedOtherwise(exclusive ? 'for several' : 'as the only target');
  } else {
    const source = staged?.path ?? (await deviceFor(context, request, placement, readOnly)).path;
    await markTarget(context, volumeId, targetPath, { exclusive });
    await place(source, targetPath, { kind: staged ? 'folder' : 'file', readOnly });
  }
  const { access } = capability;
  if (access.kind === 'mount' && access.mountGroup !== undefined && !readOnly) {
    await applyMountGroup(targetPath, access.mountGroup, signal);
  }
}

/** @returns the staged filesystem; undefined for a device, which is staged by being attached */
function requireStaged(
  placement: Placement,
  content: Content,
  kind: 'mount' | 'block',
  path: string,
): FilesystemMount | undefined {
  if (kind === 'block') {
    if (placement.filesystems.length > 0) throw notStaged('as a block device, but with a filesystem');
    // Staging as a block device is what keeps it from ever being formatted: see `stage`.
    if (!isStagedAsBlock(placement, content)) throw notStaged('on this node');
    return undefined;
  }
  const staged = placement.filesystems.findLast((mount) => mount.path === path && mount.whole);
  if (!staged) throw notStaged('at staging_target_path');
  return staged;
}

/** What a target shows is the staged filesystem as it is: it can't be of another type, or have other flags. */
function requireStagedSo(staged: FilesystemMount, access: MountAccess, present: Mounted | undefined): void {
  const otherwise = howOtherwise(staged, access);
  if (otherwise === undefined) return;
  if (present) throw publishedOtherwise(otherwise);
  throw new DriverError('failed-precondition', `the volume is staged ${otherwise}`);
}

function requireSame(present: Mounted, kind: 'mount' | 'block', readOnly: boolean): void {
  const presentKind = present.kind === 'block' ? 'block' : 'mount';
  if (presentKind === kind && present.readOnly === readOnly) return;
  const how = presentKind === kind ? (present.readOnly ? 'read-only' : 'for writing') : `as ${presentKind}`;
  throw publishedOtherwise(how);
}

/**
 * ReadWriteOncePod, whether it is this call that asks for it or an earlier one. A bind mount of a folder inside is a
 * subPath of the pod that has the volume.
 */
function requireOnlyTarget(placement: Placement, stagingPath: string, targetPath: string): void {
  const others = placedElsewhere(placement, [stagingPath, targetPath]);
  const other = others.find((mount) => mount.kind === 'block' || mount.whole);
  if (!other) return;
  const reason = `the volume is published at ${other.path}, and its access mode allows one target only`;
  throw new DriverError('failed-precondition', reason);
}

/** A read-only bind mount of a device node does not stop writes to it: the device itself has to be read-only. */
async function deviceFor(
  { backend }: NodeContext,
  { volumeId }: PublishRequest,
  { devices }: Placement,
  readOnly: boolean,
): Promise<AttachedDevice> {
  return devices.find((device) => device.readOnly === readOnly) ?? (await backend.attach(volumeId, { readOnly }));
}

async function place(
  source: string,
  target: string,
  { kind, readOnly }: { readonly kind: 'folder' | 'file'; readonly readOnly: boolean },
): Promise<void> {
  await createTarget(target, kind);
  try {
    await failpoint('publish.target');
    await bindMount(source, target, { readOnly });
  } catch (error) {
    await removeTarget(target).catch(() => undefined);
    throw error;
  }
  await failpoint('publish.mounted');
}

function publishedOtherwise(how: string): DriverError {
  return new DriverError('already-exists', `the volume is published at target_path already, ${how}`);
}

function notStaged(where: string): DriverError {
  return new DriverError('failed-precondition', `the volume is not staged ${where}`);
}
