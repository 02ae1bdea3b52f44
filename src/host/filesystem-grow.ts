import { readFile } from 'node:fs/promises';
import { DriverError } from '../core/errors.ts';
import type { FsType } from '../core/volume.ts';
import { isHeld } from './block-device.ts';
import { CommandError, run } from './exec.ts';

const LONG_MS = 600_000;

/** For what must not stop half way: more than the slowest disk needs. */
const GROW_MS = 6 * 3_600_000;

// linux/capability.h
const CAP_SYS_RESOURCE = 24n;

/**
 * Grows a mounted filesystem to the size of its device; one that fills it already succeeds.
 * @throws DriverError failed-precondition where this process may not (see `canGrowMounted`)
 * @throws CommandError, also while it is frozen (ext4) or mounted read-only
 */
export async function growFilesystem(fsType: FsType, device: string, mountPoint: string): Promise<void> {
  const commands: Readonly<Record<FsType, readonly string[]>> = {
    ext4: ['resize2fs', device],
    xfs: ['xfs_growfs', '-d', mountPoint],
    btrfs: ['btrfs', 'filesystem', 'resize', 'max', mountPoint],
  };
  try {
    await run(commands[fsType], { timeoutMs: LONG_MS });
  } catch (error) {
    if (error instanceof CommandError && error.stderr.includes('Permission denied to resize filesystem')) {
      const reason = 'the kernel grows a mounted ext4 only for a process with CAP_SYS_RESOURCE';
      throw new DriverError('failed-precondition', `${reason}; unmounted, it can be grown`, { cause: error });
    }
    throw error;
  }
}

/**
 * Whether this process may grow a filesystem while it is mounted: ext4 asks for CAP_SYS_RESOURCE (ext4_resize_begin in
 * the kernel), which a container may lack even when it has everything else.
 */
export async function canGrowMounted(fsType: FsType): Promise<boolean> {
  if (fsType !== 'ext4') return true;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

/**
 * Checks an unmounted ext4 in full, as `growUnmounted` demands, and mends what is mended without a question.
 * @param options.interrupted a `growUnmounted` before this one did not end: whatever is wrong now is mended, since
 *   nothing was before; that is not cancelled
 * @throws DriverError unavailable while that one still runs, failed-precondition for what is not mended so, cancelled
 */
export async function checkToGrow(
  device: string,
  { interrupted, signal }: { readonly interrupted: boolean; readonly signal: AbortSignal },
): Promise<void> {
  if (await isHeld(device)) throw new DriverError('unavailable', `another process works on ${device}: try again later`);
  const options = interrupted ? { timeoutMs: GROW_MS } : { timeoutMs: LONG_MS, signal };
  try {
    // 1: errors were found and mended.
    await run(['e2fsck', '-f', interrupted ? '-y' : '-p', device], { ...options, okCodes: [0, 1] });
  } catch (error) {
    if (!(error instanceof CommandError && error.stderr.includes('UNEXPECTED INCONSISTENCY'))) throw error;
    const reason = 'the ext4 has errors that are not mended without a question: run e2fsck on it';
    throw new DriverError('failed-precondition', `${reason}: ${error.stderr.trim()}`, { cause: error });
  }
}

/**
 * Grows an unmounted ext4 to the size of its device. It can't be cancelled: what is interrupted can be neither mounted nor
 * checked with `-p`. The caller writes down that it is under way, for the next `checkToGrow`.
 * @throws CommandError
 */
export async function growUnmounted(device: string): Promise<void> {
  await run(['resize2fs', device], { timeoutMs: GROW_MS });
}
