/** System calls for mounts that mount(8) has no words for. All may block, so all run on a thread. */
import { libcFunction } from './libc.ts';

// unistd.h: calls that are newer than 2019 have one number on all architectures, and libc has no functions for some.
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442; // Linux 5.12

// linux/mount.h, fcntl.h
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0x80000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_RDONLY = 1n;

const umount = libcFunction('umount2', 'int umount2(const char *target, int flags)');
const openTreeCall = libcFunction(
  'open_tree',
  'long syscall(long call, int folder, const char *path, unsigned int flags)',
);
const setAttributes = libcFunction(
  'mount_setattr',
  'long syscall(long call, int tree, const char *path, unsigned int flags, void *attributes, size_t size)',
);
const moveMountCall = libcFunction(
  'move_mount',
  'long syscall(long call, int from, const char *fromPath, int to, const char *toPath, unsigned int flags)',
);

/** umount2(2). @throws SystemError EBUSY while in use, EINVAL when it is no mount point */
export async function umount2(target: string, flags: number): Promise<void> {
  await umount(target, flags);
}

/** A copy of the mount at a path that is not mounted anywhere yet. @returns its descriptor, for the caller to close */
export async function openTree(source: string): Promise<number> {
  return openTreeCall(SYS_OPEN_TREE, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
}

/** Makes a copy from `openTree` read-only; its other flags stay as they are. */
export async function makeTreeReadOnly(tree: number): Promise<void> {
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(MOUNT_ATTR_RDONLY, 0);
  await setAttributes(SYS_MOUNT_SETATTR, tree, '', AT_EMPTY_PATH, attributes, attributes.length);
}

/** Puts a copy from `openTree` at its place, which must not be a symbolic link. */
export async function moveMount(tree: number, target: string): Promise<void> {
  await moveMountCall(SYS_MOVE_MOUNT, tree, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}
