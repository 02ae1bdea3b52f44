/**
 * The pool's filesystem. Where the data folder can reflink, the pool is a folder in it; elsewhere, and wherever a size is
 * given, it is a filesystem of its own: XFS in a sparse file on a loop device with direct I/O.
 *
 * The file appears under its final name only with a finished filesystem in it, so a crash never leaves half a pool.
 */
import { mkdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Bytes, formatBytes, MiB, roundUp } from '../../core/bytes.ts';
import { DriverError, hasCode, invalidArgument } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { syncFile, syncFolder } from '../../host/durable-file.ts';
import { exists } from '../../host/exists.ts';
import { filesystemBytes, growFilesystem, makeFilesystem } from '../../host/filesystem.ts';
import { attachLoop, detachLoop, findLoops, resizeLoop } from '../../host/loop.ts';
import { mount, unmount } from '../../host/mount.ts';
import { mountAt } from '../../host/mount-table.ts';
import { supportsReflink } from '../../host/reflink.ts';
import { createSparseFile, growSparseFile } from '../../host/sparse-file.ts';
import { freeSpace } from '../../host/statfs.ts';
import type { PoolPlace } from './capacity.ts';

/** The least that mkfs.xfs makes (300 MiB), and room for a log and some volumes. */
const MIN_POOL_BYTES: Bytes = 512n * MiB;

/** Share of the free space that a new pool takes when no size is given, percent. The file is sparse. */
const DEFAULT_POOL_PERCENT = 80n;

export interface PoolOptions {
  readonly dataDir: string;
  /**
   * Of a filesystem of the pool's own. Absent: none where the data folder can reflink; elsewhere a share of the free space
   * at first, afterwards what it has.
   */
  readonly poolBytes?: Bytes;
}

/** Makes or finds the pool, and mounts it. Safe to call again at any time. */
export async function openPool({ dataDir: given, poolBytes }: PoolOptions): Promise<PoolPlace> {
  await mkdir(path.join(given, 'pool'), { recursive: true, mode: 0o700 });
  // As the mount table and the loop devices have it.
  const dataDir = await realpath(given);
  const folder = path.join(dataDir, 'pool');
  const file = path.join(dataDir, 'pool.xfs');
  if (!(await exists(file))) {
    const plain = await exists(path.join(folder, 'volumes'));
    if (plain && poolBytes !== undefined) throw noSizeOfItsOwn(folder);
    // One that is there needs no probe, which a full disk would refuse.
    if (plain || (poolBytes === undefined && (await supportsReflink(dataDir)))) return { folder };
    await makePoolFile(dataDir, file, poolBytes);
  }
  const place = { folder, file };
  await using opened = new AsyncDisposableStack();
  opened.defer(() => leavePool(place));
  await mountPool(file, folder);
  if (poolBytes !== undefined) await growPool(file, folder, poolBytes);
  opened.move();
  return place;
}

/**
 * Unmounts and detaches the pool's own filesystem.
 * @throws DriverError failed-precondition while a volume is in use, or something else in it
 */
export async function closePool({ folder, file }: PoolPlace): Promise<void> {
  if (file === undefined) return;
  const loops = await findLoops(file);
  const mounted = await mountAt(folder);
  // Something else that is mounted there is not ours to take away.
  if (loops.some(({ devNumber }) => devNumber === mounted?.devNumber)) await unmount(folder);
  for (const loop of loops) await detachLoop(loop.path, undefined, loop);
}

/** After a start that failed: closes the pool, unless it is in use, as after a restart of the driver. */
export async function leavePool(place: PoolPlace): Promise<void> {
  try {
    await closePool(place);
  } catch (error) {
    if (!hasCode(error, 'failed-precondition')) throw error;
  }
}

async function makePoolFile(dataDir: string, file: string, poolBytes: Bytes | undefined): Promise<void> {
  const free = (await freeSpace(dataDir)).freeBytes;
  const size = roundUp(poolBytes ?? (free * DEFAULT_POOL_PERCENT) / 100n, MiB);
  if (size < MIN_POOL_BYTES) {
    throw invalidArgument(
      '--pool-size',
      `a pool has at least ${formatBytes(MIN_POOL_BYTES)}, not ${formatBytes(size)} (${formatBytes(free)} free in ${dataDir})`,
    );
  }
  const unfinished = `${file}.unfinished`;
  await removePoolFile(unfinished);
  try {
    await createSparseFile(unfinished, size);
    const { path: device } = await attachPoolFile(unfinished);
    await failpoint('pool.attached');
    await makeFilesystem(device, 'xfs');
    await failpoint('pool.formatted');
    await syncFile(unfinished);
    await rename(unfinished, file);
  } catch (error) {
    await removePoolFile(unfinished);
    throw error;
  }
  await syncFolder(dataDir);
  await failpoint('pool.named');
}

async function removePoolFile(file: string): Promise<void> {
  for (const loop of await findLoops(file)) await detachLoop(loop.path, undefined, loop);
  await rm(file, { force: true });
}

async function mountPool(file: string, folder: string): Promise<void> {
  const attached = (await findLoops(file))[0] ?? (await attachPoolFile(file));
  const mounted = await mountAt(folder);
  if (mounted?.devNumber === attached.devNumber) return;
  if (mounted)
    throw new DriverError('failed-precondition', `something else (${mounted.source}) is mounted on ${folder}`);
  // discard: what is freed in the pool is given back to the filesystem below.
  await mount({ source: attached.path, target: folder, fsType: 'xfs', options: ['noatime', 'discard', 'nouuid'] });
  await failpoint('pool.mounted');
}

async function attachPoolFile(file: string) {
  const fine = await attachLoop({ path: file, readOnly: false, blockSize: 512, directIo: true });
  if (fine.directIo) return fine;
  // A disk with blocks of 4096 bytes below: direct I/O wants the same of the loop device.
  await detachLoop(fine.path);
  return await attachLoop({ path: file, readOnly: false, blockSize: 4096, directIo: true });
}

function noSizeOfItsOwn(folder: string): DriverError {
  return invalidArgument(
    '--pool-size',
    `${folder} is a plain folder, which takes what its filesystem has: give no size`,
  );
}

async function growPool(file: string, folder: string, poolBytes: Bytes): Promise<void> {
  const now = (await stat(file, { bigint: true })).size;
  const wanted = roundUp(poolBytes, MiB);
  if (wanted < now) {
    throw invalidArgument(
      '--pool-size',
      `the pool is ${formatBytes(now)} already and can't shrink to ${formatBytes(wanted)}`,
    );
  }
  if (wanted > now) await growSparseFile(file, wanted);
  await failpoint('pool.grow');
  // Also when the file has its size already: a crash may have come between it and what is on it.
  for (const loop of await findLoops(file)) {
    if (loop.sizeBytes < wanted) await resizeLoop(loop.path);
    await failpoint('pool.resized');
    if ((await filesystemBytes(loop.path, 'xfs')) < wanted) await growFilesystem('xfs', loop.path, folder);
  }
}
