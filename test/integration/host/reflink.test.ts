import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { cloneFile, extentCount, supportsReflink } from '../../../src/host/reflink.ts';
import { createSparseFile } from '../../../src/host/sparse-file.ts';
import { freeSpace } from '../../../src/host/statfs.ts';
import { Playground } from './playground.ts';

test('a clone has the content and the size, and is independent', async () => {
  await using play = await Playground.open();
  const { root } = await play.filesystem('pool', 'xfs', 400n * MiB);
  await createSparseFile(`${root}/source`, 10n * GiB);
  {
    await using file = await open(`${root}/source`, 'r+');
    await file.write(Buffer.from('first'), 0, 5, 0);
    await file.write(Buffer.from('far away'), 0, 8, 5 * 2 ** 30);
  }
  await cloneFile(`${root}/source`, `${root}/clone`);
  {
    await using file = await open(`${root}/source`, 'r+');
    await file.write(Buffer.from('other'), 0, 5, 0);
  }
  expect((await stat(`${root}/clone`, { bigint: true })).size).toBe(10n * GiB);
  await using clone = await open(`${root}/clone`, 'r');
  const { buffer } = await clone.read(Buffer.alloc(5), 0, 5, 0);
  expect(buffer.toString()).toBe('first');
  expect((await clone.read(Buffer.alloc(8), 0, 8, 5 * 2 ** 30)).buffer.toString()).toBe('far away');
});

test('a clone takes no space', async () => {
  await using play = await Playground.open();
  const { root } = await play.filesystem('pool', 'xfs', 400n * MiB);
  await writeFile(`${root}/source`, Buffer.alloc(100 << 20, 3), { flush: true });
  const before = await freeSpace(root);
  for (let index = 0; index < 10; index++) await cloneFile(`${root}/source`, `${root}/clone-${index}`);
  expect(before.freeBytes - (await freeSpace(root)).freeBytes).toBeLessThan(2n * MiB);
});

test('a clone never replaces what is there', async () => {
  await using play = await Playground.open();
  const { root } = await play.filesystem('pool', 'xfs', 400n * MiB);
  await writeFile(`${root}/source`, 'source');
  await writeFile(`${root}/target`, 'target');
  await expect(cloneFile(`${root}/source`, `${root}/target`)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(`${root}/target`, 'utf8')).toBe('target');
});

test('where it can not be done it fails, and leaves nothing', async () => {
  await using play = await Playground.open();
  const { root } = await play.filesystem('ext4', 'ext4', 32n * MiB);
  await writeFile(`${root}/source`, 'source');
  await expect(cloneFile(`${root}/source`, `${root}/target`)).rejects.toMatchObject({ code: 'ENOTSUP' });
  expect(await readdir(root)).toEqual(['lost+found', 'source']);
});

test('support is found out by doing', async () => {
  await using play = await Playground.open();
  const xfs = await play.filesystem('xfs', 'xfs', 400n * MiB);
  const ext4 = await play.filesystem('ext4', 'ext4', 32n * MiB);
  const btrfs = await play.filesystem('btrfs', 'btrfs', 128n * MiB);
  expect(await supportsReflink(xfs.root)).toBe(true);
  expect(await supportsReflink(btrfs.root)).toBe(true);
  expect(await supportsReflink(ext4.root)).toBe(false);
  expect(await readdir(xfs.root)).toEqual([]);
  await expect(supportsReflink(play.path('nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('extents are counted', async () => {
  await using play = await Playground.open();
  const { root } = await play.filesystem('pool', 'xfs', 400n * MiB);
  await createSparseFile(`${root}/file`, GiB);
  expect(await extentCount(`${root}/file`)).toBe(0);
  {
    await using file = await open(`${root}/file`, 'r+');
    for (let index = 0; index < 100; index++) await file.write(Buffer.alloc(4096, 1), 0, 4096, index * 2 ** 20);
    await file.sync();
  }
  expect(await extentCount(`${root}/file`)).toBe(100);
});
