/**
 * The folder of a demonstration: processes of ours, their pools and sockets, and what is mounted for them. It has a lock,
 * so that what a killed run left can be told from what is running, and be cleaned up by the next start.
 *
 *   <run>/owner             flock: the run goes on
 *   <run>/work/             mounts and files of whoever uses it
 *   <run>/<process>/        csi.sock, and data/ of a process that has a pool
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, isErrno } from '../../core/errors.ts';
import type { Logger } from '../../core/observe.ts';
import { FreezeJournal } from '../../fence/journal.ts';
import { recoverFrozen } from '../../fence/recovery.ts';
import { exists } from '../../host/exists.ts';
import { lockFile } from '../../host/file-lock.ts';
import { detachLoop, listLoops } from '../../host/loop.ts';
import { unmount } from '../../host/mount.ts';
import { readMountTable } from '../../host/mount-table.ts';
import { removeNetwork } from './network.ts';

/**
 * Where only root can make anything: what lies there is obeyed. Short on purpose: sockets lie in it, and a socket's path
 * has 107 bytes.
 */
const PARENT = '/var/lib/cofferdam-runs';
/** A guard that was killed has gone by then, or its disk is stuck, milliseconds. */
const GUARD_PATIENCE_MS = 5_000;
const RUN_FOLDER = /^run-([A-Za-z0-9]{6})$/;

export interface TemporaryRun extends AsyncDisposable {
  readonly folder: string;
  /** Tells it from other runs on this machine: six letters and digits. */
  readonly id: string;
  /** For mounts and files of the run: what a killed run leaves in it is cleaned up with it. */
  readonly workFolder: string;
}

/** Disposing of it undoes all that was made below its folder, and its network. */
export async function openTemporaryRun(): Promise<TemporaryRun> {
  await using resources = new AsyncDisposableStack();
  await mkdir(PARENT, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(path.join(PARENT, 'run-'));
  // Held until the end: what is being removed is nobody else's to clean up.
  resources.use(await lockFile(path.join(folder, 'owner')));
  resources.defer(() => removeRun(folder));
  const workFolder = path.join(folder, 'work');
  await mkdir(workFolder);
  const owned = resources.move();
  return { folder, id: idOf(folder), workFolder, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Cleans up after runs that were killed. Runs that still go on, or whose guard has not gone, are left alone. */
export async function sweepAbandonedRuns(log: Logger): Promise<void> {
  for (const name of await runNames()) {
    if (!RUN_FOLDER.test(name)) continue;
    const folder = path.join(PARENT, name);
    try {
      await using resources = new AsyncDisposableStack();
      resources.use(await lockFile(path.join(folder, 'owner')));
      await removeNetwork(idOf(folder));
      for (const data of await poolsOf(folder)) resources.use(await lockFile(path.join(data, 'lock')));
      log.warn({ folder }, 'cleaning up after a run that was killed');
      await removeRun(folder);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) continue; // somebody else has removed it
      // Locked: that run goes on, or is still in use. Unavailable: something of it may be frozen.
      if (!hasCode(error, 'failed-precondition') && !hasCode(error, 'unavailable')) throw error;
      log.debug({ folder, err: error }, 'left a temporary run alone');
    }
  }
}

/** None where no run ever was: this is also looked for on nodes that may write to their own folders only. */
async function runNames(): Promise<readonly string[]> {
  try {
    return await readdir(PARENT);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Thaws, unmounts what is mounted below the folder, detaches what is backed by files in it, and removes it. */
async function removeRun(folder: string): Promise<void> {
  await removeNetwork(idOf(folder));
  const dataFolders = await poolsOf(folder);
  const signal = AbortSignal.timeout(GUARD_PATIENCE_MS);
  for (const data of dataFolders) await recoverFrozen(new FreezeJournal(path.join(data, 'journal')), { signal });
  const below = (place: string) => place.startsWith(`${folder}/`);
  // The pools last: the volumes' images lie in them, and their own images in the folder.
  const pools = dataFolders.map((data) => path.join(data, 'pool'));
  for (const { mountPoint } of (await readMountTable()).reverse()) {
    if (below(mountPoint) && !pools.includes(mountPoint)) await unmount(mountPoint);
  }
  for (const loop of await listLoops()) {
    if (pools.some((pool) => loop.backingPath.startsWith(`${pool}/`))) await detachLoop(loop.path, undefined, loop);
  }
  for (const pool of pools) await unmount(pool);
  for (const loop of await listLoops()) if (below(loop.backingPath)) await detachLoop(loop.path, undefined, loop);
  await rm(folder, { recursive: true, force: true });
}

/** The data folders of the processes. */
async function poolsOf(folder: string): Promise<readonly string[]> {
  const data = (await readdir(folder)).map((name) => path.join(folder, name, 'data'));
  const found = await Promise.all(data.map(exists));
  return data.filter((_, i) => found[i]);
}

function idOf(folder: string): string {
  return RUN_FOLDER.exec(path.basename(folder))?.[1] ?? '';
}
