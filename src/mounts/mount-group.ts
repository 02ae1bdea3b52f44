import { constants, type Stats } from 'node:fs';
import { type FileHandle, lchown, lstat, open, readdir } from 'node:fs/promises';
import { isErrno } from '../core/errors.ts';
import { checkCancelled } from './context.ts';

// What kubelet gives with fsGroup: the group reads and writes everything, enters folders, and owns what is made in them.
const FILE_BITS = 0o0660;
const FOLDER_BITS = 0o2770;

/**
 * Gives a tree to a group (CSI VOLUME_MOUNT_GROUP). A tree whose root has it already is taken as done: the root is
 * changed last, so an interrupted run is done again.
 *
 * The tree may be in use by a workload that is not trusted: every step goes through a descriptor of the folder, so that
 * a name swapped for a symbolic link leads nowhere.
 */
export async function applyMountGroup(root: string, gid: number, signal: AbortSignal): Promise<void> {
  await using folder = await openFolder(root);
  const found = await folder.stat();
  if (has(gid, FOLDER_BITS, found)) return;
  await giveChildren(folder, found.dev, gid, signal);
  await give(folder, found, gid, FOLDER_BITS);
}

async function giveChildren(folder: FileHandle, device: number, gid: number, signal: AbortSignal): Promise<void> {
  const place = `/proc/self/fd/${folder.fd}`;
  for (const name of await readdir(place, { encoding: 'buffer' })) {
    checkCancelled(signal);
    await giveEntry(Buffer.concat([Buffer.from(`${place}/`), name]), device, gid, signal);
  }
}

async function giveEntry(path: Buffer, device: number, gid: number, signal: AbortSignal): Promise<void> {
  try {
    const seen = await lstat(path);
    // Another filesystem that the workload can't have mounted here is none of this volume's.
    if (seen.dev !== device) return;
    if (seen.isDirectory()) {
      await using folder = await openFolder(path);
      await giveChildren(folder, device, gid, signal);
      await give(folder, await folder.stat(), gid, FOLDER_BITS);
    } else if (seen.isFile()) {
      // By an earlier run that was interrupted.
      if (has(gid, FILE_BITS, seen)) return;
      await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      await give(file, await file.stat(), gid, FILE_BITS);
    } else {
      // Opening a device or a pipe does things; the owner of a link can be set without following it.
      await lchown(path, seen.uid, gid);
    }
  } catch (error) {
    // Removed or swapped meanwhile by whoever uses the volume.
    if (!isErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR')) throw error;
  }
}

function has(gid: number, bits: number, found: Stats): boolean {
  return found.gid === gid && (found.mode & bits) === bits;
}

async function give(handle: FileHandle, found: Stats, gid: number, bits: number): Promise<void> {
  if (has(gid, bits, found)) return;
  const { mode, uid } = found;
  await handle.chown(uid, gid);
  // After the chown, which takes set-user-id and set-group-id away.
  await handle.chmod((mode & 0o7777) | bits);
}

function openFolder(path: string | Buffer): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}
