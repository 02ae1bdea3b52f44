import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { deviceBytes, makeFilesystem } from '../../../src/host/filesystem.ts';
import { attachLoop, detachLoop, findLoops, listLoops, resizeLoop } from '../../../src/host/loop.ts';
import { mount } from '../../../src/host/mount.ts';
import { growSparseFile } from '../../../src/host/sparse-file.ts';
import { shutDown } from '../../support/break.ts';
import { Playground } from './playground.ts';

describe('loop devices', () => {
  test('sixteen attached at once get sixteen devices, each its own file', async () => {
    await using play = await Playground.open();
    const names = Array.from({ length: 16 }, (_, index) => `image-${index}`);
    const devices = await Promise.all(names.map((name) => play.loop(name, MiB)));
    expect(new Set(devices.map(({ path }) => path)).size).toBe(16);
    for (const [index, name] of names.entries()) {
      const found = await findLoops(play.path(name));
      expect(found.map(({ path, devNumber }) => ({ path, devNumber }))).toEqual([
        { path: devices[index]?.path, devNumber: devices[index]?.devNumber },
      ]);
    }
    await Promise.all(devices.map(({ path }) => detachLoop(path)));
    expect((await listLoops()).filter(({ backingPath }) => backingPath.startsWith(play.folder))).toEqual([]);
  });

  test('a device is found by the inode of its file, whatever the file is called', async () => {
    await using play = await Playground.open();
    const device = await play.loop('before', MiB);
    await link(play.path('before'), play.path('other name'));
    await rename(play.path('before'), play.path('after'));
    await play.image('before', MiB); // the old name is now another file
    expect((await findLoops(play.path('after'))).map(({ path }) => path)).toEqual([device.path]);
    expect((await findLoops(play.path('other name'))).map(({ path }) => path)).toEqual([device.path]);
    expect(await findLoops(play.path('before'))).toEqual([]);
    expect(await findLoops(play.path('never was'))).toEqual([]);
  });

  test('a device whose file was deleted is still listed, and says so', async () => {
    await using play = await Playground.open();
    const device = await play.loop('gone', MiB);
    await rm(play.path('gone'));
    const listed = (await listLoops()).find(({ path }) => path === device.path);
    expect(listed?.backingPath).toBe(`${play.path('gone')} (deleted)`);
    await detachLoop(device.path);
  });

  test('a device whose file can not be asked about, since its filesystem has shut down, is in the way of no other', async () => {
    await using play = await Playground.open();
    const other = await play.loop('other', MiB);
    const { root } = await play.filesystem('broken', 'xfs', 320n * MiB);
    const inside = await play.loop('broken/image', MiB);
    shutDown(root);
    expect((await findLoops(play.path('other'))).map(({ path }) => path)).toEqual([other.path]);
    await detachLoop(other.path);
    // It is known by the path of its file then.
    const [found] = await findLoops(play.path('broken/image'));
    expect(found).toMatchObject({ path: inside.path, readOnly: false, directIo: inside.directIo });
    expect((await listLoops()).map(({ path }) => path)).toContain(inside.path);
    expect(await findLoops(play.path('broken/other'))).toEqual([]);
    await detachLoop(inside.path, undefined, { file: 'another' });
    expect(await findLoops(play.path('broken/image'))).toHaveLength(1);
    await detachLoop(inside.path, undefined, found);
    expect(await findLoops(play.path('broken/image'))).toEqual([]);
  });

  test('direct I/O is on where the file system has it, and off where not asked for', async () => {
    await using play = await Playground.open();
    const direct = await play.loop('direct', MiB, { directIo: true });
    const buffered = await play.loop('buffered', MiB, { directIo: false });
    expect([direct.directIo, buffered.directIo]).toEqual([true, false]);
    const name = direct.path.replace('/dev/', '');
    expect((await readFile(`/sys/block/${name}/loop/dio`, 'utf8')).trim()).toBe('1');
    expect((await findLoops(play.path('direct')))[0]?.directIo).toBe(true);
    expect((await findLoops(play.path('buffered')))[0]?.directIo).toBe(false);
  });

  test('direct I/O that the pool below can not give is reported as off', async () => {
    await using play = await Playground.open();
    const pool = await play.loop('pool.img', 400n * MiB, { blockSize: 4096 });
    expect(pool.directIo).toBe(true);
    await makeFilesystem(pool.path, 'xfs', {});
    await mkdir(play.path('pool'));
    await mount({ source: pool.path, target: play.path('pool'), fsType: 'xfs', options: [] });
    expect((await play.loop('pool/small', MiB, { blockSize: 512 })).directIo).toBe(false);
    expect((await play.loop('pool/large', MiB, { blockSize: 4096 })).directIo).toBe(true);
    for (const name of ['pool/small', 'pool/large']) {
      for (const { path } of await findLoops(play.path(name))) await detachLoop(path);
    }
  });

  test('read-only devices refuse writes; a file may have one of each kind', async () => {
    await using play = await Playground.open();
    const writable = await play.loop('image', MiB);
    const path = play.path('image');
    const readOnly = await attachLoop({ path, readOnly: true, blockSize: 512, directIo: true });
    {
      await using device = await open(readOnly.path, 'r+');
      await expect(device.write(Buffer.alloc(512), 0, 512, 0)).rejects.toMatchObject({ code: 'EPERM' });
    }
    const found = await findLoops(path);
    expect(new Map(found.map((device) => [device.path, device.readOnly]))).toEqual(
      new Map([
        [writable.path, false],
        [readOnly.path, true],
      ]),
    );
  });

  test('resize shows the growth of the file', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', MiB);
    await growSparseFile(play.path('image'), 5n * MiB);
    expect(await deviceBytes(path)).toBe(MiB);
    await resizeLoop(path);
    expect(await deviceBytes(path)).toBe(5n * MiB);
    expect((await findLoops(play.path('image')))[0]?.sizeBytes).toBe(5n * MiB);
  });

  test('what is detached already is fine, and so is a device that never was', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', MiB);
    await detachLoop(path);
    expect(await findLoops(play.path('image'))).toEqual([]);
    await detachLoop(path);
    await detachLoop('/dev/loop9999');
  });

  test('a device that got another file meanwhile is left alone', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', MiB);
    await detachLoop(path, undefined, { file: '1:1' });
    expect(await findLoops(play.path('image'))).toHaveLength(1);
  });

  test('a device that someone has open is refused and stays attached', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', MiB);
    {
      await using _held = await open(path, 'r');
      await expect(detachLoop(path)).rejects.toMatchObject({ code: 'failed-precondition' });
      expect(await findLoops(play.path('image'))).toHaveLength(1);
    }
    // Refused means unchanged: the last close did not detach it after all.
    expect(await findLoops(play.path('image'))).toHaveLength(1);
    await detachLoop(path);
  });

  test('a device that is closed while the detach waits is detached', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', MiB);
    const held = await open(path, 'r');
    setTimeout(() => void held.close(), 300);
    await detachLoop(path);
    expect(await findLoops(play.path('image'))).toEqual([]);
  });

  test('a detach that is cancelled while it waits leaves the device attached', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', MiB);
    await using _held = await open(path, 'r');
    await expect(detachLoop(path, AbortSignal.timeout(100))).rejects.toMatchObject({ code: 'cancelled' });
    expect(await findLoops(play.path('image'))).toHaveLength(1);
  });

  test('a mounted device is refused at once, by name of its mount point', async () => {
    await using play = await Playground.open();
    const { path, root } = await play.filesystem('fs', 'ext4', 32n * MiB);
    await expect(detachLoop(path)).rejects.toThrow(root);
    expect(await findLoops(play.path('fs.img'))).toHaveLength(1);
  });

  test('a file that is not there can not be attached', async () => {
    await using play = await Playground.open();
    await expect(
      attachLoop({ path: play.path('nothing'), readOnly: false, blockSize: 512, directIo: true }),
    ).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
