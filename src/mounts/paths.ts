import { lstat, mkdir, open, opendir, realpath, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DriverError, invalidArgument, isErrno } from '../core/errors.ts';

/**
 * A path as the mount table has it: without symbolic links on the way, as where /var/lib/kubelet is one. The last part
 * is not followed. Undefined when the folder that it is in does not exist.
 */
export async function canonical(path: string): Promise<string | undefined> {
  try {
    // The dot: what it is in must be a folder.
    return join(await realpath(`${dirname(path)}/.`), basename(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

/**
 * The staging folder, which the CO makes (CSI specification, NodeStageVolume).
 * @throws DriverError invalid-argument when it is not there, or is the driver's own
 */
export async function requireFolder(field: string, path: string, dataDir: string): Promise<string> {
  const real = await canonical(path);
  if (real === undefined || (await kindOf(real)) !== 'folder')
    throw invalidArgument(field, 'is not an existing folder');
  refuseInside(field, real, dataDir);
  return real;
}

/** @throws DriverError invalid-argument when its parent, which the CO makes, is not there, or is the driver's own */
export async function requireParent(field: string, path: string, dataDir: string): Promise<string> {
  const real = await canonical(path);
  if (real === undefined) throw invalidArgument(field, 'its parent folder does not exist');
  refuseInside(field, real, dataDir);
  return real;
}

/** @throws DriverError invalid-argument for the driver's own folder, and what is in it */
export function refuseInside(field: string, path: string, dataDir: string): void {
  if (path !== dataDir && !path.startsWith(`${dataDir}/`)) return;
  throw invalidArgument(field, 'is in the folder that the driver keeps its own data in');
}

/**
 * Makes what a volume is mounted onto: a folder for a filesystem, a file for a device. An empty one that is there is kept.
 * @throws DriverError failed-precondition when something of another kind is there, or holds data: it would be hidden, and
 *   `removeTarget` would refuse to remove it
 */
export async function createTarget(path: string, kind: 'folder' | 'file'): Promise<void> {
  const present = await kindOf(path);
  if (present === kind) {
    if (await isEmpty(path, kind)) return;
    throw new DriverError('failed-precondition', `target_path: there is a ${kind} that holds data`);
  }
  if (present !== undefined) {
    throw new DriverError('failed-precondition', `target_path: there is a ${present} where a ${kind} is needed`);
  }
  if (kind === 'folder') await mkdir(path, { mode: 0o750 });
  else await (await open(path, 'wx', 0o640)).close();
}

/**
 * Removes what `createTarget` made; nothing there succeeds. Never what holds data.
 * @throws DriverError failed-precondition when it is not empty
 */
export async function removeTarget(path: string): Promise<void> {
  try {
    const present = await lstat(path);
    if (present.isDirectory()) await rmdir(path);
    else if (present.isFile() && present.size === 0) await unlink(path);
    else throw new DriverError('failed-precondition', 'target_path: what is there holds data, and is not the volume');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    if (isErrno(error, 'ENOTEMPTY', 'EBUSY')) {
      const reason = 'target_path: the folder is not empty, or something else is mounted there';
      throw new DriverError('failed-precondition', reason, { cause: error });
    }
    throw error;
  }
}

async function isEmpty(path: string, kind: 'folder' | 'file'): Promise<boolean> {
  if (kind === 'file') return (await lstat(path)).size === 0;
  await using folder = await opendir(path);
  return (await folder.read()) === null;
}

type Kind = 'folder' | 'file' | 'symbolic link' | 'special file';

async function kindOf(path: string): Promise<Kind | undefined> {
  try {
    const found = await lstat(path);
    if (found.isDirectory()) return 'folder';
    if (found.isSymbolicLink()) return 'symbolic link';
    return found.isFile() ? 'file' : 'special file';
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
