import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Bytes, formatBytes, MiB } from '../core/bytes.ts';
import { DriverError } from '../core/errors.ts';
import { type FsType, MIN_FILESYSTEM_BYTES } from '../core/volume.ts';
import { run } from './exec.ts';
import { BLKGETSIZE64 } from './ioctl.ts';
import { ioctl } from './libc.ts';

export { type CheckResult, checkFilesystem } from './filesystem-check.ts';
export { canGrowMounted, checkToGrow, growFilesystem, growUnmounted } from './filesystem-grow.ts';
export { filesystemBytes, probeSignature, type Signature } from './filesystem-probe.ts';

const LONG_MS = 600_000;

// Below this, separate block groups for data and metadata waste more than they are worth, or do not fit.
const BTRFS_MIXED_BELOW = 128n * MiB;

/**
 * Everything that Linux 5.14 mounts, named one by one: what mkfs makes by default follows its own version, and newer
 * ones add what older kernels refuse (orphan_file, metadata_csum_seed; nrext64; block-group-tree).
 */
const EXT4_FEATURES = [
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file',
  'huge_file,dir_nlink,extra_isize,metadata_csum',
].join(',');

/**
 * Inode tables and the journal must read as zeros. Left to the kernel it writes 1/64 of the volume after the first mount,
 * when nobody is there to be told that the pool is full. Measured on sparse images of 1, 10 and 100 GiB on XFS, by the
 * time of mkfs, by what it allocates, and by what an idle mount writes within 12 s:
 *
 *   later (lazy)              1.0 of the time     0 to 5 MiB        16, 160, more than 800 MiB
 *   at once                   1.4 to 3.8          1/20 to 1/50 of the volume        nothing
 *   at once, after a discard  0.6 to 23           the same                          nothing
 *   clear already             0.8 to 2.1          0 to 5 MiB        nothing
 *
 * What is written first to a sparse image can fail on a full pool with any of them: that is what the reserve is for.
 */
const EXT4_CLEAR_LATER = 'lazy_itable_init=1,lazy_journal_init=1';
/** From e2fsprogs 1.47 on. */
const EXT4_CLEAR_ALREADY = 'assume_storage_prezeroed=1';

/** @throws DriverError failed-precondition when a device of this size is too small for the type */
export function requireRoomFor(fsType: FsType, deviceBytes: Bytes): void {
  if (deviceBytes >= MIN_FILESYSTEM_BYTES[fsType]) return;
  const least = formatBytes(MIN_FILESYSTEM_BYTES[fsType]);
  const reason = `${fsType} needs a volume of at least ${least}, this one has ${formatBytes(deviceBytes)}`;
  throw new DriverError('failed-precondition', reason);
}

/**
 * Makes a filesystem on a device that is known to be blank: nothing is discarded or looked at first, and whatever is
 * there is overwritten.
 * @param options.zeroed the device reads as zeros: what mkfs would clear now, or the kernel later, is clear
 * @throws DriverError failed-precondition (device too small, tool missing), cancelled; CommandError
 */
export async function makeFilesystem(
  device: string,
  fsType: FsType,
  { zeroed = false, signal }: { readonly zeroed?: boolean; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const bytes = await deviceBytes(device);
  requireRoomFor(fsType, bytes);
  await run(await mkfsCommand(device, fsType, { bytes, zeroed }), { timeoutMs: LONG_MS, ...(signal && { signal }) });
}

/** Removes what an interrupted mkfs may have left, so that no signature of it survives beside a new one. */
export async function wipeSignatures(device: string): Promise<void> {
  await run(['wipefs', '--all', '--force', '--quiet', device]);
}

/**
 * Before a btrfs is mounted: the kernel remembers devices of what was on them, those of several devices also after the
 * unmount. What another file had under this loop device's number is taken for a part of it, and the mount is refused.
 */
export async function forgetBtrfs(device: string): Promise<void> {
  // 1: nothing was remembered, or the kernel has no btrfs yet.
  await run(['btrfs', 'device', 'scan', '--forget', device], { okCodes: [0, 1] });
}

/** Size of a block device, in bytes (BLKGETSIZE64). */
export async function deviceBytes(device: string): Promise<Bytes> {
  await using file = await open(device, constants.O_RDONLY);
  const size = Buffer.alloc(8);
  await ioctl(file.fd, BLKGETSIZE64, size);
  return size.readBigUInt64LE();
}

interface MkfsFacts {
  readonly bytes: Bytes;
  readonly zeroed: boolean;
}

async function mkfsCommand(device: string, fsType: FsType, { bytes, zeroed }: MkfsFacts): Promise<string[]> {
  switch (fsType) {
    case 'ext4': {
      // No blocks kept for root: a volume belongs to one workload, which was promised all of it.
      const layout = ['-b', '4096', '-I', '256', '-i', '16384', '-m', '0', '-O', EXT4_FEATURES];
      const clearing = zeroed ? EXT4_CLEAR_ALREADY : EXT4_CLEAR_LATER;
      return ['mkfs.ext4', '-q', '-F', ...layout, '-E', `${clearing},nodiscard`, device];
    }
    case 'xfs': {
      const metadata = 'crc=1,finobt=1,reflink=1,bigtime=1,inobtcount=1,rmapbt=0';
      // Sectors of 4096 whatever this device has: an image on XFS that shares extents allows no direct I/O in smaller
      // units (seen on Linux 6.18), so after a snapshot a volume may have to be attached with larger blocks.
      const layout = ['-s', 'size=4096', '-i', 'sparse=1,nrext64=0'];
      return ['mkfs.xfs', '-q', '-f', '-K', '-m', metadata, ...layout, device];
    }
    case 'btrfs': {
      const mixed = bytes < BTRFS_MIXED_BELOW ? ['--mixed'] : [];
      const features = (await knowsBlockGroupTree()) ? ['-O', '^block-group-tree'] : [];
      return ['mkfs.btrfs', '-q', '-f', '-K', '-d', 'single', '-m', 'single', ...mixed, ...features, device];
    }
  }
}

/** Newer mkfs.btrfs make it by default, Linux 6.1 mounts it first; older ones refuse to be told not to. */
async function knowsBlockGroupTree(): Promise<boolean> {
  const { stderr, stdout } = await run(['mkfs.btrfs', '-O', 'list-all']);
  return `${stdout}${stderr}`.includes('block-group-tree');
}
