import { readdir, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { startChild } from '../../../src/host/child.ts';
import { freezeFilesystem, openForFreeze, thawFilesystem } from '../../../src/host/freeze.ts';
import { syncfs } from '../../../src/host/libc.ts';
import { readRcuExpedited, writeRcuExpedited } from '../../../src/host/rcu.ts';
import { freeSpace } from '../../../src/host/statfs.ts';
import { Playground } from './playground.ts';

describe.each(FS_TYPES)('a frozen %s', (fsType) => {
  test('makes writers wait and readers not, until the thaw', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('fs', fsType, 320n * MiB);
    await writeFile(`${root}/before`, 'old');
    await using handle = await openForFreeze(root);
    await syncfs(handle.fd);
    await freezeFilesystem(handle.fd);
    try {
      const writer = await startChild(['dd', 'if=/dev/zero', `of=${root}/new`, 'bs=4096', 'count=1', 'status=none']);
      expect(await Promise.race([writer.exited, sleep(300, 'waits')])).toBe('waits');
      expect(await readFile(`${root}/before`, 'utf8')).toBe('old');
      expect((await freeSpace(root)).totalBytes).toBeGreaterThan(0n);

      expect(await thawFilesystem(handle.fd)).toBe(true);
      expect(await writer.exited).toEqual({ code: 0, signal: null });
      expect(await readdir(root)).toContain('new');
    } finally {
      await thawFilesystem(handle.fd);
    }
  });

  test('can not be frozen again; one that is not frozen says so', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('fs', fsType, 320n * MiB);
    await using handle = await openForFreeze(root);
    expect(await thawFilesystem(handle.fd)).toBe(false);
    await freezeFilesystem(handle.fd);
    try {
      await expect(freezeFilesystem(handle.fd)).rejects.toMatchObject({ code: 'EBUSY', syscall: 'ioctl' });
    } finally {
      expect(await thawFilesystem(handle.fd)).toBe(true);
    }
    expect(await thawFilesystem(handle.fd)).toBe(false);
  });
});

test('errno belongs to its own call when many run at once', async () => {
  await using play = await Playground.open();
  const { root } = await play.filesystem('fs', 'ext4', 32n * MiB);
  await using handle = await openForFreeze(root);
  await freezeFilesystem(handle.fd);
  try {
    const codes = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const failing = index % 2 === 0 ? freezeFilesystem(handle.fd) : freezeFilesystem(-1);
        return await failing.then(
          () => 'success',
          (error: unknown) => (error as NodeJS.ErrnoException).code,
        );
      }),
    );
    expect(codes).toEqual(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'EBUSY' : 'EBADF')));
  } finally {
    await thawFilesystem(handle.fd);
  }
});

test('what is no folder can not be opened to be frozen', async () => {
  await using play = await Playground.open();
  await writeFile(play.path('file'), '');
  await expect(openForFreeze(play.path('file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(openForFreeze(play.path('nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('rcu_expedited is raised and put back, where the kernel has it', async () => {
  const before = await readRcuExpedited();
  if (before === undefined) return;
  try {
    await writeRcuExpedited(1);
    expect(await readRcuExpedited()).toBe(1);
  } finally {
    await writeRcuExpedited(before);
  }
  expect(await readRcuExpedited()).toBe(before);
});
