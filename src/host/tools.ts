import { DriverError } from '../core/errors.ts';

/** Folders that commands are looked for in: those of a Debian root, whatever the caller's PATH is. */
export const COMMAND_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'] as const;

/** The whole environment of a command. `C` makes messages stable: some are matched. */
export const COMMAND_ENV: Readonly<Record<string, string>> = { PATH: COMMAND_PATH.join(':'), LC_ALL: 'C' };

const PACKAGES = new Map([
  ['blkid', 'util-linux'],
  ['wipefs', 'util-linux'],
  ['mount', 'mount'],
  ['mknod', 'coreutils'],
  ['mkfs.ext4', 'e2fsprogs'],
  ['resize2fs', 'e2fsprogs'],
  ['e2fsck', 'e2fsprogs'],
  ['mkfs.xfs', 'xfsprogs'],
  ['xfs_growfs', 'xfsprogs'],
  ['xfs_repair', 'xfsprogs'],
  ['mkfs.btrfs', 'btrfs-progs'],
  ['btrfs', 'btrfs-progs'],
  ['ip', 'iproute2'],
  ['nsenter', 'util-linux'],
  ['openssl', 'openssl'],
  ['lvm', 'lvm2'],
  ['thin_check', 'thin-provisioning-tools'],
]);

/** `mkfs.xfs is not installed (Debian package xfsprogs)` */
export function notInstalled(tool: string, cause?: unknown): DriverError {
  return new DriverError('failed-precondition', describeMissing(tool), { cause });
}

export function describeMissing(tool: string): string {
  const name = PACKAGES.get(tool);
  return `${tool} is not installed${name ? ` (Debian package ${name})` : ''}`;
}
