/** Which filesystem a volume has, and making it: the only place that formats (docs/design.md, invariant 4). */
import type { AttachedDevice } from '../core/backend.ts';
import { DriverError, invalidArgument } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { asFsType, DEFAULT_FS_TYPE, type FsType, type Volume } from '../core/volume.ts';
import { makeFilesystem, probeSignature, requireRoomFor, wipeSignatures } from '../host/filesystem.ts';
import type { NodeContext } from './context.ts';

const FS_TYPE_FIELD = 'volume_capability.mount.fs_type';

/**
 * The type to mount a volume with, before its device is touched. Of a raw volume it is not known yet.
 * @throws DriverError invalid-argument when another one is asked for than the volume has
 */
export function plannedFsType({ content }: Volume, wanted: FsType | undefined): FsType | undefined {
  switch (content.kind) {
    case 'blank':
      return wanted ?? DEFAULT_FS_TYPE;
    case 'formatting':
      // Nobody has used it: another type will do as well.
      return wanted ?? content.fsType;
    case 'filesystem':
      if (wanted !== undefined && wanted !== content.fsType) throw otherType(wanted, content.fsType);
      return content.fsType;
    case 'raw':
      return undefined;
  }
}

/**
 * Sees to it that there is a filesystem on the device that can be mounted. Makes one only on what this driver created
 * blank, and writes down that it does so before it does.
 * @throws DriverError failed-precondition for content that is not known; it stays untouched
 */
export async function ensureFilesystem(
  context: NodeContext,
  volume: Volume,
  device: AttachedDevice,
  wanted: FsType | undefined,
  signal: AbortSignal,
): Promise<FsType> {
  const fsType = plannedFsType(volume, wanted) ?? (await foundType(device, wanted));
  switch (volume.content.kind) {
    case 'raw':
    case 'filesystem':
      break;
    case 'blank':
      await requireBlank(device);
      await format(context, volume, device, { fsType, zeroed: context.backend.blanksAreZeros }, signal);
      break;
    case 'formatting':
      await wipeSignatures(device.path);
      await format(context, volume, device, { fsType, zeroed: false }, signal);
      break;
  }
  return fsType;
}

async function format(
  { backend }: NodeContext,
  { id, capacityBytes }: Volume,
  device: AttachedDevice,
  { fsType, zeroed }: { readonly fsType: FsType; readonly zeroed: boolean },
  signal: AbortSignal,
): Promise<void> {
  // Before it is written down: a volume that is too small stays blank, for another type.
  requireRoomFor(fsType, capacityBytes);
  await backend.setContent(id, { kind: 'formatting', fsType });
  await failpoint('stage.format');
  await makeFilesystem(device.path, fsType, { zeroed, signal });
  await failpoint('stage.formatted');
  await backend.setContent(id, { kind: 'filesystem', fsType, identity: 'own' });
}

async function requireBlank(device: AttachedDevice): Promise<void> {
  const found = await probeSignature(device.path);
  if (!found) return;
  const reason = `the volume was created blank, but holds ${found.type} now; it will not be formatted`;
  throw new DriverError('failed-precondition', reason);
}

/** A raw volume may have got a filesystem from its user. */
async function foundType(device: AttachedDevice, wanted: FsType | undefined): Promise<FsType> {
  const found = await probeSignature(device.path);
  const fsType = asFsType(found?.type);
  if (fsType === undefined) {
    const reason = `the volume was used as a raw block device and holds ${found?.type ?? 'no known filesystem'}`;
    throw new DriverError('failed-precondition', `${reason}; it will not be formatted`);
  }
  if (wanted !== undefined && wanted !== fsType) throw otherType(wanted, fsType);
  return fsType;
}

function otherType(wanted: FsType, own: FsType): DriverError {
  return invalidArgument(FS_TYPE_FIELD, `${wanted} is not what the volume has: it has ${own}`);
}
