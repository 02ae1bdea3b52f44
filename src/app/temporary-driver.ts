/**
 * A driver for the length of a demonstration: `serve` as a child process on a pool in a temporary folder. The folder has
 * a lock, so that what a killed run left can be told from what is running, and be cleaned up by the next start.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspectLoopPool } from '../backends/loop/inspect.ts';
import { TEST_BUILD } from '../core/build.ts';
import { type Bytes, GiB } from '../core/bytes.ts';
import { DriverError, hasCode } from '../core/errors.ts';
import type { Logger } from '../core/observe.ts';
import { windowOf } from '../fence/evidence.ts';
import { FreezeJournal } from '../fence/journal.ts';
import { recoverFrozen } from '../fence/recovery.ts';
import { type Child, startChild } from '../host/child.ts';
import { lockFile } from '../host/file-lock.ts';
import { detachLoop, listLoops } from '../host/loop.ts';
import { unmount } from '../host/mount.ts';
import { readMountTable } from '../host/mount-table.ts';
import { waitUntilReady } from '../prove/csi-client.ts';
import { connect } from '../rpc/client.ts';

/**
 * Where only root can make anything: what lies there is obeyed. Short on purpose: a socket lies in it, and a socket's path
 * has 107 bytes.
 */
const PARENT = '/var/lib/cofferdam-runs';
const RUN_FOLDER = /^run-[A-Za-z0-9]{6}$/;
const START_LIMIT_MS = 60_000;
/** Sparse: what it takes on disk is what is written. */
const DEFAULT_POOL_BYTES: Bytes = 16n * GiB;
/** Many small volumes come and go, and few bytes are ever written to them. */
const FLAGS = ['--log-level', 'warn', '--overcommit-ratio', '1000'];
/** Without the fence, members are cut one after the other; a pause between them shows what that comes to. */
const TEST_FLAGS = TEST_BUILD ? ['--failpoints', 'round.unfenced-pause=sleep:10'] : [];

export interface TemporaryDriver extends AsyncDisposable {
  readonly endpoint: string;
  /** For mounts and files of the run: what a killed run leaves in it is cleaned up with it. */
  readonly workFolder: string;
  /** From the evidence in the pool: how long the fence of a group was, milliseconds. */
  readonly windowOf: (groupId: string) => Promise<number | undefined>;
}

export async function startTemporaryDriver(poolBytes: Bytes = DEFAULT_POOL_BYTES): Promise<TemporaryDriver> {
  await using resources = new AsyncDisposableStack();
  await mkdir(PARENT, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(path.join(PARENT, 'run-'));
  resources.defer(() => removeRun(folder));
  resources.use(await lockFile(path.join(folder, 'owner')));

  const dataDir = path.join(folder, 'data');
  const workFolder = path.join(folder, 'work');
  await mkdir(workFolder);
  const endpoint = `unix://${path.join(folder, 'csi.sock')}`;
  const main = fileURLToPath(new URL(`../main${path.extname(import.meta.url)}`, import.meta.url));
  const child = await startChild(
    [
      process.execPath,
      main,
      'serve',
      '--until-stdin-closes',
      '--endpoint',
      endpoint,
      '--data-dir',
      dataDir,
      ...FLAGS,
      ...TEST_FLAGS,
      '--pool-size',
      String(poolBytes),
    ],
    // Detached: an interrupt from the terminal reaches this process, which then stops the child in its own order.
    { stdio: ['pipe', 'ignore', 'inherit'], detached: true, env: { UV_THREADPOOL_SIZE: '64' } },
  );
  resources.defer(() => stop(child));
  await ready(endpoint, child);
  const owned = resources.move();
  return {
    endpoint,
    workFolder,
    windowOf: (groupId) => windowOfGroup(dataDir, groupId),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Cleans up after runs that were killed. Runs that still go on are left alone. */
export async function sweepAbandonedRuns(log: Logger): Promise<void> {
  await mkdir(PARENT, { recursive: true, mode: 0o700 });
  for (const name of await readdir(PARENT)) {
    if (!RUN_FOLDER.test(name)) continue;
    const folder = path.join(PARENT, name);
    try {
      await using resources = new AsyncDisposableStack();
      for (const lock of ['owner', 'data/lock']) {
        await mkdir(path.dirname(path.join(folder, lock)), { recursive: true });
        resources.use(await lockFile(path.join(folder, lock)));
      }
      log.warn({ folder }, 'cleaning up after a run that was killed');
      await recoverFrozen(new FreezeJournal(path.join(folder, 'data/journal')));
      await removeRun(folder);
    } catch (error) {
      if (!hasCode(error, 'failed-precondition')) throw error; // locked: that run goes on, or is still in use
      log.debug({ folder, err: error }, 'left a temporary run alone');
    }
  }
}

/** Unmounts what is mounted below the folder, detaches what is backed by files in it, and removes it. */
async function removeRun(folder: string): Promise<void> {
  const below = (place: string) => place.startsWith(`${folder}/`);
  // The pool last: the volumes' images lie in it, and its own image in the folder.
  const pool = path.join(folder, 'data/pool');
  for (const { mountPoint } of (await readMountTable()).reverse()) {
    if (below(mountPoint) && mountPoint !== pool) await unmount(mountPoint);
  }
  for (const loop of await listLoops())
    if (loop.backingPath.startsWith(`${pool}/`)) await detachLoop(loop.path, undefined, loop);
  await unmount(pool);
  for (const loop of await listLoops()) if (below(loop.backingPath)) await detachLoop(loop.path, undefined, loop);
  await rm(folder, { recursive: true, force: true });
}

async function windowOfGroup(dataDir: string, groupId: string): Promise<number | undefined> {
  const { cuts } = await inspectLoopPool(dataDir, { overcommitRatio: 1, reservePercent: 0 });
  const record = cuts.find((cut) => cut.group?.id === groupId);
  return record && windowOf([record]);
}

async function ready(endpoint: string, child: Child): Promise<void> {
  using channel = connect(endpoint);
  const died = child.exited.then(({ code }) => {
    throw new DriverError('unavailable', `the temporary driver ended with code ${code} before it was ready`);
  });
  await Promise.race([waitUntilReady(channel, START_LIMIT_MS), died]);
}

async function stop(child: Child): Promise<void> {
  child.stdin?.end();
  await child.exited;
}
