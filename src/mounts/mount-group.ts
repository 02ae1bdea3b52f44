import { once } from 'node:events';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { moduleFile } from '../core/module-file.ts';
import { checkCancelled } from './context.ts';
import { FOLDER_BITS, isGroupOwned } from './group-owned.ts';
import type { MountGroupThreadData } from './mount-group-thread.ts';

/**
 * Gives a tree to a group (CSI VOLUME_MOUNT_GROUP). A tree whose root has it already is taken as done, as kubelet does with
 * `fsGroupChangePolicy: OnRootMismatch`: the root is changed last, so an interrupted run is done again, which costs one
 * look at each entry that is right.
 * @throws DriverError cancelled
 */
export async function applyMountGroup(root: string, gid: number, signal: AbortSignal): Promise<void> {
  await using folder = await open(root, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  if (isGroupOwned(await folder.stat(), gid, FOLDER_BITS)) return;
  checkCancelled(signal);
  await walk({ root: folder.fd, gid }, signal);
  checkCancelled(signal);
}

/** @throws Error what the thread throws */
async function walk(tree: Omit<MountGroupThreadData, 'memory'>, signal: AbortSignal): Promise<void> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const tell = () => Atomics.store(stop, 0, 1);
  const workerData: MountGroupThreadData = { ...tree, memory: stop.buffer };
  signal.addEventListener('abort', tell);
  try {
    await once(new Worker(moduleFile('mounts/mount-group-thread'), { workerData, name: 'mount group' }), 'exit');
  } finally {
    signal.removeEventListener('abort', tell);
  }
}
