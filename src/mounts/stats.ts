import { type DriverError, isErrno, notFound } from '../core/errors.ts';
import { deviceBytes } from '../host/filesystem.ts';
import { freeSpace } from '../host/statfs.ts';
import { type NodeContext, requireVolume } from './context.ts';
import { canonical } from './paths.ts';
import { type FilesystemMount, locate, type NodeMount } from './placement.ts';
import type { StatsRequest, Usage } from './requests.ts';

/**
 * Bytes and inodes of the filesystem; of a block device its size, since what is in it is not known.
 * @throws DriverError not-found, also when the volume is unpublished meanwhile: nothing keeps it where it is
 */
export async function stats(context: NodeContext, request: StatsRequest): Promise<readonly Usage[]> {
  try {
    const usage = await usageOf(await requirePlaced(context, request));
    // Else it may be that of whatever the path shows without the volume.
    await requirePlaced(context, request);
    return usage;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENXIO', 'ENODEV')) throw notPlaced(request);
    throw error;
  }
}

async function usageOf(present: FilesystemMount | NodeMount): Promise<readonly Usage[]> {
  if (present.kind === 'block') {
    return [{ unit: 'bytes', total: await deviceBytes(present.device.path), used: 0n, available: 0n }];
  }
  const space = await freeSpace(present.path);
  const used = space.totalBytes - space.freeBytes;
  const bytes: Usage = { unit: 'bytes', total: space.totalBytes, used, available: space.availableBytes };
  // btrfs has as many as it has room for, and says 0.
  if (space.totalInodes === 0n) return [bytes];
  const { totalInodes: total, freeInodes: available } = space;
  return [bytes, { unit: 'inodes', total, used: total - available, available }];
}

/** @throws DriverError not-found when there is no such volume, and when the path is not one of its own */
export async function requirePlaced(context: NodeContext, request: StatsRequest): Promise<FilesystemMount | NodeMount> {
  const { volumeId, volumePath } = request;
  await requireVolume(context, volumeId);
  const path = await canonical(volumePath);
  const { filesystems, nodes } = await locate(context.backend, volumeId);
  const present = [...filesystems, ...nodes].findLast((mount) => mount.path === path);
  if (!present) throw notPlaced(request);
  return present;
}

function notPlaced({ volumeId, volumePath }: StatsRequest): DriverError {
  return notFound('volume', `${volumeId} at volume_path ${volumePath}`);
}
