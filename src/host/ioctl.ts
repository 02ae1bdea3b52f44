/** ioctl requests, by the names of the kernel's headers; the numbers are the same on x86-64 and arm64. */

// linux/loop.h
export const LOOP_CLR_FD = 0x4c01;
export const LOOP_SET_STATUS64 = 0x4c04;
export const LOOP_GET_STATUS64 = 0x4c05;
export const LOOP_SET_CAPACITY = 0x4c07;
export const LOOP_CONFIGURE = 0x4c0a;
export const LOOP_CTL_ADD = 0x4c80;
export const LOOP_CTL_GET_FREE = 0x4c82;

// linux/fs.h
export const FIFREEZE = 0xc0045877;
export const FITHAW = 0xc0045878;
export const FICLONE = 0x40049409;
export const FS_IOC_FSGETXATTR = 0x801c581f;
export const BLKGETSIZE64 = 0x80081272;

// linux/dm-ioctl.h: _IOWR(0xfd, command, struct dm_ioctl of 312 bytes)
export const DM_DEV_CREATE = 0xc138fd03;
export const DM_DEV_REMOVE = 0xc138fd04;
export const DM_DEV_SUSPEND = 0xc138fd06;
export const DM_DEV_STATUS = 0xc138fd07;
export const DM_TABLE_LOAD = 0xc138fd09;
export const DM_TABLE_STATUS = 0xc138fd0c;
export const DM_TARGET_MSG = 0xc138fd0e;
