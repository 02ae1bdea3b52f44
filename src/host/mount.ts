import { closeSync } from 'node:fs';
import { DriverError, isErrno } from '../core/errors.ts';
import { CommandError, run } from './exec.ts';
import { makeTreeReadOnly, moveMount, openTree, umount2 } from './mount-calls.ts';
import { mountAt } from './mount-table.ts';

export interface MountRequest {
  /** A block device. */
  readonly source: string;
  /** An existing folder. */
  readonly target: string;
  readonly fsType: string;
  /** As after `mount -o`. */
  readonly options: readonly string[];
}

// linux/mount.h
const UMOUNT_NOFOLLOW = 0x8;

/** mount(8), "EXIT STATUS": mount failure, as opposed to what went wrong with the command. */
const REFUSED = 32;

// A mount replays the journal first, which may take long on a slow disk.
const MOUNT_TIMEOUT_MS = 300_000;

/**
 * Mounts a filesystem by mount(8), which knows the options of every type.
 * @throws CommandError; for what the kernel refuses see `isRefusedMount`
 */
export async function mount({ source, target, fsType, options }: MountRequest): Promise<void> {
  const text = options.join(',');
  const flags = options.length > 0 ? ['-o', text] : [];
  // --internal-only: no helper program. -n: no table of its own, the kernel's is the truth.
  const argv = ['mount', '--internal-only', '-n', '-t', fsType, ...flags, '--', source, target];
  try {
    await run(argv, { timeoutMs: MOUNT_TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // CSI lets mount flags hold secrets, and errors end in logs: without the options, and without the cause, which has
    // the whole command line.
    throw new CommandError(
      argv.map((argument) => (argument === text ? '***' : argument)),
      error,
    );
  }
}

/** Of an error of `mount`: the kernel answered, and would not have it. */
export function isRefusedMount(error: unknown): boolean {
  return error instanceof CommandError && error.exitCode === REFUSED;
}

/**
 * Makes what is at `source` (a folder, a file or a device node) appear at `target`, which exists and is of the same
 * kind, with the mount flags that the source has. Read-only from its first moment, so a crash leaves nothing half made.
 * A read-only bind mount of a device node does not stop writes to the device.
 * @throws SystemError
 */
export async function bindMount(
  source: string,
  target: string,
  { readOnly }: { readonly readOnly: boolean },
): Promise<void> {
  const tree = await openTree(source);
  try {
    if (readOnly) await makeTreeReadOnly(tree);
    await moveMount(tree, target);
  } finally {
    closeSync(tree);
  }
}

/**
 * Takes away everything that is mounted on this path, topmost first. Not lazy and not forced: afterwards it is gone.
 * A path with nothing mounted on it, or that does not exist, succeeds.
 * @throws DriverError failed-precondition while files in it are open; SystemError
 */
export async function unmount(target: string): Promise<void> {
  while (await mountAt(target)) {
    try {
      await umount2(target, UMOUNT_NOFOLLOW);
    } catch (error) {
      // Someone else was faster.
      if (isErrno(error, 'EINVAL', 'ENOENT') && !(await mountAt(target))) return;
      if (isErrno(error, 'EBUSY')) {
        throw new DriverError('failed-precondition', `${target} is still in use`, { cause: error });
      }
      throw error;
    }
  }
}
