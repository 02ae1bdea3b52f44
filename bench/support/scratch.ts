/**
 * The folder that everything of a run lies in. What is mounted or attached below it is looked up, not remembered, so a
 * run that was killed is cleaned up by the next one.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../src/core/errors.ts';
import { lockFile } from '../../src/host/file-lock.ts';
import { openForFreeze, thawFilesystem } from '../../src/host/freeze.ts';
import { detachLoop, listLoops } from '../../src/host/loop.ts';
import { unmount } from '../../src/host/mount.ts';
import { readMountTable } from '../../src/host/mount-table.ts';

/** On a real disk, unlike /tmp on many machines; and short: sockets lie in it. */
const PARENT = '/var/tmp';
const RUN_FOLDER = /^cofferdam-bench-[A-Za-z0-9]{6}$/;
const CLEAN_ATTEMPTS = 5;

export interface Scratch extends AsyncDisposable {
  readonly folder: string;
}

export async function openScratch(): Promise<Scratch> {
  await sweepAbandoned();
  const folder = await mkdtemp(path.join(PARENT, 'cofferdam-bench-'));
  const lock = await lockFile(path.join(folder, 'owner'));
  return {
    folder,
    [Symbol.asyncDispose]: async () => {
      await removeAll(folder);
      await lock[Symbol.asyncDispose]();
    },
  };
}

async function sweepAbandoned(): Promise<void> {
  for (const name of await readdir(PARENT)) {
    if (!RUN_FOLDER.test(name)) continue;
    const folder = path.join(PARENT, name);
    try {
      await using _lock = await lockFile(path.join(folder, 'owner'));
      await removeAll(folder);
    } catch (error) {
      if (!hasCode(error, 'failed-precondition')) throw error; // that run goes on
    }
  }
}

/** A driver that was just stopped may hold things a moment longer. */
async function removeAll(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await undo(folder);
      await rm(folder, { recursive: true, force: true });
      return;
    } catch (error) {
      if (attempt === CLEAN_ATTEMPTS) throw error;
      await sleep(500);
    }
  }
}

async function undo(folder: string): Promise<void> {
  // The last mounted first. What is attached to a file in a mount goes before the mount does.
  for (const { mountPoint } of (await readMountTable()).toReversed()) {
    if (!mountPoint.startsWith(`${folder}/`)) continue;
    await thaw(mountPoint);
    await detachBelow(mountPoint);
    await unmount(mountPoint);
  }
  await detachBelow(folder);
}

async function detachBelow(folder: string): Promise<void> {
  for (const loop of await listLoops()) if (loop.backingPath.startsWith(`${folder}/`)) await detachLoop(loop.path);
}

async function thaw(mountPoint: string): Promise<void> {
  const root = await openForFreeze(mountPoint).catch(() => undefined); // no folder: a block device
  if (!root) return;
  try {
    await thawFilesystem(root.fd);
  } finally {
    await root.close();
  }
}
