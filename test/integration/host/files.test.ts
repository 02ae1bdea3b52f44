import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { startChild } from '../../../src/host/child.ts';
import {
  renameDurably,
  syncFile,
  syncFolder,
  unlinkDurably,
  writeFileDurably,
} from '../../../src/host/durable-file.ts';
import { lockFile } from '../../../src/host/file-lock.ts';
import { allocatedBytes, createSparseFile, growSparseFile } from '../../../src/host/sparse-file.ts';
import { freeSpace } from '../../../src/host/statfs.ts';
import { Playground } from './playground.ts';

describe('durable files', () => {
  test('are written whole, and replace what was there', async () => {
    await using play = await Playground.open();
    await writeFileDurably(play.path('a.json'), 'one');
    await writeFileDurably(play.path('a.json'), 'two');
    expect(await readFile(play.path('a.json'), 'utf8')).toBe('two');
    expect(await readdir(play.folder)).toEqual(['a.json']);
  });

  test('readers see the old or the new, never a part', async () => {
    await using play = await Playground.open();
    const texts = ['a', 'b'].map((letter) => letter.repeat(200_000));
    await writeFileDurably(play.path('file'), texts[0] ?? '');
    let writing = true;
    const writes = (async () => {
      for (let index = 0; index < 30; index++) await writeFileDurably(play.path('file'), texts[index % 2] ?? '');
      writing = false;
    })();
    while (writing) expect(texts).toContain(await readFile(play.path('file'), 'utf8'));
    await writes;
  });

  test('an error leaves the old content and no temporary file', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('full', 'ext4', 8n * MiB);
    await writeFileDurably(`${root}/file`, 'old');
    await expect(writeFileDurably(`${root}/file`, 'x'.repeat(16 << 20))).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await readFile(`${root}/file`, 'utf8')).toBe('old');
    expect((await readdir(root)).sort()).toEqual(['file', 'lost+found']);

    await mkdir(play.path('in the way'));
    await expect(writeFileDurably(play.path('in the way'), 'text')).rejects.toMatchObject({ code: 'EISDIR' });
    expect((await readdir(play.folder)).sort()).toEqual(['full', 'full.img', 'in the way']);
  });

  test('are renamed between folders, and removed; removing nothing is fine', async () => {
    await using play = await Playground.open();
    await mkdir(play.path('one'));
    await mkdir(play.path('two'));
    await writeFile(play.path('one', 'file'), 'text');
    await renameDurably(play.path('one', 'file'), play.path('two', 'file'));
    expect(await readdir(play.path('one'))).toEqual([]);
    await syncFile(play.path('two', 'file'));
    expect(await unlinkDurably(play.path('two', 'file'))).toBe(true);
    expect(await unlinkDurably(play.path('two', 'file'))).toBe(false);
    await syncFolder(play.folder);
  });
});

describe('sparse files', () => {
  test('take no space, grow, and never shrink', async () => {
    await using play = await Playground.open();
    await createSparseFile(play.path('image'), 100n * GiB);
    expect((await stat(play.path('image'), { bigint: true })).size).toBe(100n * GiB);
    expect(await allocatedBytes(play.path('image'))).toBeLessThan(MiB);
    expect(await growSparseFile(play.path('image'), 200n * GiB)).toBe(200n * GiB);
    expect(await growSparseFile(play.path('image'), GiB)).toBe(200n * GiB);
    expect((await stat(play.path('image'), { bigint: true })).size).toBe(200n * GiB);
    await expect(createSparseFile(play.path('image'), GiB)).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('a size that no file can have leaves no file', async () => {
    await using play = await Playground.open();
    await expect(createSparseFile(play.path('image'), 2n ** 60n)).rejects.toMatchObject({ code: 'out-of-range' });
    await expect(createSparseFile(play.path('image'), 2n ** 52n)).rejects.toMatchObject({ code: 'EFBIG' });
    expect(await readdir(play.folder)).toEqual([]);
  });
});

describe('the lock of a data folder', () => {
  test('has one holder, whose pid the second is told', async () => {
    await using play = await Playground.open();
    {
      await using _lock = await lockFile(play.path('lock'));
      await expect(lockFile(play.path('lock'))).rejects.toMatchObject({
        code: 'failed-precondition',
        message: `another cofferdam serves this data folder (pid ${process.pid})`,
      });
    }
    await using _again = await lockFile(play.path('lock'));
  });

  test('is let go of when its holder is killed', async () => {
    await using play = await Playground.open();
    const holder = await startChild(['flock', '--close', play.path('lock'), 'sleep', '60'], { detached: true });
    const refused = () =>
      lockFile(play.path('lock')).then(
        (lock) => lock[Symbol.asyncDispose]().then(() => false),
        () => true,
      );
    while (!(await refused())) await sleep(10);
    process.kill(-holder.pid, 'SIGKILL');
    await holder.exited;
    // What it had just forked may hold the lock a moment longer.
    while (await refused()) await sleep(10);
    await using _lock = await lockFile(play.path('lock'));
  });
});

test('free space is what statfs says, as bigint', async () => {
  await using play = await Playground.open();
  const { root } = await play.filesystem('fs', 'ext4', 64n * MiB);
  const space = await freeSpace(root);
  expect(space.totalBytes).toBeGreaterThan(40n * MiB);
  expect(space.totalBytes).toBeLessThan(64n * MiB);
  expect(space.availableBytes).toBeLessThanOrEqual(space.freeBytes);
  expect(space.freeInodes).toBeLessThan(space.totalInodes);
});
