/** What tells one staging from another: see src/mounts/mount-flags.ts for the rule. */
import { expect, test } from '@jest/globals';
import { FS_TYPES, type FsType } from '../../../src/core/volume.ts';
import { mountAt } from '../../../src/host/mount-table.ts';
import { capability, mountAccess, NodePlayground } from './node-playground.ts';

const OF_EVERY_TYPE = [
  'nosuid',
  'nodev',
  'noexec',
  'nosymfollow',
  'noatime',
  'nodiratime',
  'lazytime',
  'sync',
  'dirsync',
  'user',
];

test.each<[FsType, readonly string[]]>([
  ['ext4', ['commit=30', 'data=journal', 'data=writeback', 'discard', 'nobarrier', 'barrier=0', 'noauto_da_alloc']],
  ['xfs', ['allocsize=1m', 'allocsize=65536', 'discard', 'filestreams', 'inode32', 'largeio', 'noalign', 'swalloc']],
  ['xfs', ['logbsize=65536', 'logbsize=256k', 'logbufs=4']],
  ['btrfs', ['autodefrag', 'commit=60', 'flushoncommit', 'noacl', 'nobarrier', 'notreelog']],
  ['btrfs', ['compress', 'compress=zstd', 'compress=zstd:3', 'compress=lzo']],
  ...FS_TYPES.map((fsType): [FsType, readonly string[]] => [fsType, OF_EVERY_TYPE]),
])('%s mounted with any of %j is not what is asked for without it, nor the other way round', async (type, flags) => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  const bare = capability(mountAccess(type));
  const otherwise = { code: 'already-exists' };
  for (const flag of flags) {
    const flagged = capability(mountAccess(type, [flag]));
    await play.stage(id, flagged);
    await play.stage(id, flagged);
    await expect(play.stage(id, bare)).rejects.toMatchObject(otherwise);
    await play.unstage(id);
    await play.stage(id, bare);
    await play.stage(id, bare);
    await expect(play.stage(id, flagged)).rejects.toMatchObject(otherwise);
    await play.unstage(id);
  }
});

test.each<[FsType, readonly string[], readonly string[]]>([
  ['ext4', ['nodev', 'noatime'], ['noatime,nodev', 'defaults']],
  ['ext4', ['defaults', 'relatime', 'data=ordered', 'barrier=1', 'commit=5', 'errors=continue'], []],
  ['ext4', ['nodev', 'dev', 'noatime'], ['noatime', 'suid']],
  ['ext4', ['noatime', 'atime', 'noatime'], ['noatime']],
  ['xfs', ['allocsize=1m', 'logbsize=32k', 'inode64'], ['allocsize=1048576']],
  ['btrfs', ['compress=zstd', 'space_cache=v2', 'ssd'], ['compress=zstd:3', 'ssd']],
  // Nothing that the kernel shows tells these apart from none.
  ['ext4', ['user_xattr', 'journal_ioprio=4', 'nomblk_io_submit'], []],
])('%s mounted with %j is what is asked for with %j', async (fsType, one, other) => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id, capability(mountAccess(fsType, one)));
  await play.stage(id, capability(mountAccess(fsType, one)));
  await play.stage(id, capability(mountAccess(fsType, other)));
});

test('mount flags that contradict each other are refused at once, and nothing stays behind', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  const asked = capability(mountAccess('btrfs', ['compress=zstd', 'nodatacow']));
  await expect(play.stage(id, asked)).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining('compress'),
  });
  expect(await mountAt(play.staging)).toBeUndefined();
  expect(await play.backend.devices(id)).toEqual([]);
});

test('a read-only volume is mounted so whatever its flags say', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  const asked = capability(mountAccess('ext4', ['rw']), 'SINGLE_NODE_READER_ONLY');
  await play.stage(id, asked);
  await play.stage(id, asked);
  expect((await mountAt(play.staging))?.options).toContain('ro');
});
