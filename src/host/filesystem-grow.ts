import { readFile } from 'node:fs/promises';
import { DriverError } from '../core/errors.ts';
import type { FsType } from '../core/volume.ts';
import { CommandError, run } from './exec.ts';

const LONG_MS = 600_000;

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
 * Grows an unmounted ext4 to the size of its device. Slower than mounted: it is checked in full first, as resize2fs
 * demands; what a crash leaves, the check of the next attempt mends.
 * @throws CommandError when the check finds what it can't mend
 */
export async function growUnmounted(device: string, signal?: AbortSignal): Promise<void> {
  const options = { timeoutMs: LONG_MS, ...(signal && { signal }) };
  // 1: errors were found and mended.
  await run(['e2fsck', '-f', '-p', device], { ...options, okCodes: [0, 1] });
  await run(['resize2fs', device], options);
}
