import { DriverError, isErrno } from '../core/errors.ts';
import { run } from './exec.ts';
import { mount2, umount2 } from './libc.ts';
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
const MS_REMOUNT = 0x20;
const MS_BIND = 0x1000;
const MS_FLAGS = new Map([
  ['ro', 0x1],
  ['nosuid', 0x2],
  ['nodev', 0x4],
  ['noexec', 0x8],
  ['nosymfollow', 0x100],
  ['noatime', 0x400],
  ['nodiratime', 0x800],
  ['relatime', 0x200000],
]);
const UMOUNT_NOFOLLOW = 0x8;

// A mount replays the journal first, which may take long on a slow disk.
const MOUNT_TIMEOUT_MS = 300_000;

/**
 * Mounts a filesystem by mount(8), which knows the options of every type.
 * @throws CommandError (exit code 32 for what the kernel refuses)
 */
export async function mount({ source, target, fsType, options }: MountRequest): Promise<void> {
  const flags = options.length > 0 ? ['-o', options.join(',')] : [];
  // --internal-only: no helper program. -n: no table of its own, the kernel's is the truth.
  await run(['mount', '--internal-only', '-n', '-t', fsType, ...flags, '--', source, target], {
    timeoutMs: MOUNT_TIMEOUT_MS,
  });
}

/**
 * Makes what is at `source` (a folder, a file or a device node) appear at `target`, which exists and is of the same
 * kind. Read-only takes a second call; when that fails the first is undone.
 * A read-only bind mount of a device node does not stop writes to the device.
 * @throws SystemError
 */
export async function bindMount(
  source: string,
  target: string,
  { readOnly }: { readonly readOnly: boolean },
): Promise<void> {
  await mount2(source, target, MS_BIND);
  if (!readOnly) return;
  try {
    // The remount sets all flags of this mount anew: repeat those that the bind took over from the source's.
    const kept = (await mountAt(target))?.options ?? [];
    const flags = [...kept, 'ro'].reduce((all, name) => all | (MS_FLAGS.get(name) ?? 0), MS_REMOUNT | MS_BIND);
    await mount2(null, target, flags);
  } catch (error) {
    await umount2(target, UMOUNT_NOFOLLOW);
    throw error;
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
