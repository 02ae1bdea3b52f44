/** A disk that takes no writes for a while, and what waits for it in the kernel: nothing ends that, not even SIGKILL. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { freezeFilesystem, openForFreeze, thawFilesystem } from '../../src/host/freeze.ts';
import { eventually, type Scratch } from './scratch.ts';
import { stateOf } from './serve.ts';

/** Of the images in a filesystem: while it is frozen they take no writes. @returns what ends the stall */
export async function stallDisk(mountPoint: string): Promise<AsyncDisposable> {
  const root = await openForFreeze(mountPoint);
  await freezeFilesystem(root.fd);
  return {
    [Symbol.asyncDispose]: async () => {
      await thawFilesystem(root.fd);
      await root.close();
    },
  };
}

/** A write that keeps the freeze waiting for it, and does not end before the disk goes on. */
export async function stuckWriter(scratch: Scratch, mountPoint: string): Promise<void> {
  const argv = ['if=/dev/zero', `of=${mountPoint}/stuck`, 'bs=4096', 'count=1', 'oflag=direct,dsync', 'status=none'];
  const child = spawn('dd', argv, { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  scratch.owns(pid);
  await once(child, 'spawn');
  await eventually('the writer waits for its disk', async () => (await stateOf(pid)) === 'D');
}
