/** Where a pool is, and that it is found again. */
import { mkdir, open, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { renderTables } from '../../../src/app/roles/status.ts';
import { inspectLoopPool } from '../../../src/backends/loop/inspect.ts';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { DriverError } from '../../../src/core/errors.ts';
import { run } from '../../../src/host/exec.ts';
import { filesystemBytes } from '../../../src/host/filesystem.ts';
import { attachLoop, detachLoop, findLoops, resizeLoop } from '../../../src/host/loop.ts';
import { unmount } from '../../../src/host/mount.ts';
import { allocatedBytes, createSparseFile } from '../../../src/host/sparse-file.ts';
import { freeSpace } from '../../../src/host/statfs.ts';
import { NEVER } from '../../support/rig.ts';
import { Scratch } from '../../support/scratch.ts';
import { create, everythingIn, idOf, isThere, openPool, openPoolIn } from './playground.ts';

/** As after a reboot: nothing is mounted and nothing attached. */
async function reboot(scratch: Scratch): Promise<void> {
  for (const { mountPoint } of (await scratch.mounts()).toReversed()) await unmount(mountPoint);
  for (const loop of await scratch.loops()) await detachLoop(loop.path);
}

test('a device whose detach was asked for by a process that died is kept when its volume is attached again', async () => {
  await using scratch = await Scratch.open();
  const { backend } = await openPool(scratch);
  const { id } = await create(backend, 'volume');
  const device = await backend.attach(id, { readOnly: false });
  {
    await using user = await open(device.path);
    // Answers at once, and happens when the last one closes it.
    await run(['losetup', '-d', device.path]);
    expect(await backend.attach(id, { readOnly: false })).toMatchObject({ path: device.path });
    expect((await user.stat()).isBlockDevice()).toBe(true);
  }
  expect(await backend.devices(id)).toMatchObject([{ path: device.path }]);
});

describe('on a filesystem that can not reflink', () => {
  test('a pool has a filesystem of its own, in a sparse file, with direct I/O', async () => {
    await using scratch = await Scratch.open();
    const data = await scratch.filesystem('ext4', 'ext4', 2n * GiB);
    const { backend } = await openPool(scratch, { dataDir: data });
    expect((await stat(`${data}/pool.xfs`)).size).toBe(Number(GiB));
    expect(await allocatedBytes(`${data}/pool.xfs`)).toBeLessThan(200n * MiB);
    const mounted = (await scratch.mounts()).find(({ mountPoint }) => mountPoint === `${data}/pool`);
    expect(mounted).toMatchObject({ fsType: 'xfs', options: expect.arrayContaining(['noatime']) });
    const loop = (await scratch.loops()).find(({ backingPath }) => backingPath === `${data}/pool.xfs`);
    expect(loop).toMatchObject({ directIo: true, readOnly: false, devNumber: mounted?.devNumber });
    await create(backend, 'volume');
    const device = await backend.attach(idOf('volume'), { readOnly: false });
    const loops = await scratch.loops();
    expect(loops.find(({ path }) => path === device.path)).toMatchObject({ directIo: true });
  });

  test('it is found mounted, or mounted again; with the volumes that were in it', async () => {
    await using scratch = await Scratch.open();
    const { backend } = await openPool(scratch);
    const volume = await create(backend, 'volume');
    const before = await scratch.mounts();
    const again = await openPool(scratch);
    expect(await scratch.mounts()).toEqual(before);
    expect(await again.backend.getVolume(volume.id)).toEqual(volume);

    await reboot(scratch);
    const later = await openPool(scratch);
    expect(await later.backend.getVolume(volume.id)).toEqual(volume);
    expect(await scratch.mounts()).toHaveLength(1);
    expect(await scratch.loops()).toHaveLength(1);
  });

  test('only attached, it is mounted by the device that it has', async () => {
    await using scratch = await Scratch.open();
    await openPool(scratch);
    const [loop] = await scratch.loops();
    await unmount(scratch.path('data', 'pool'));
    await openPool(scratch);
    expect(await scratch.loops()).toEqual([loop]);
    expect(await scratch.mounts()).toHaveLength(1);
  });

  test('closed, nothing is mounted or attached; with a volume in use, all stays', async () => {
    await using scratch = await Scratch.open();
    const { backend } = await openPool(scratch);
    const { id } = await create(backend, 'volume');
    await backend.attach(id, { readOnly: false });
    await backend[Symbol.asyncDispose]();
    expect(await scratch.mounts()).toHaveLength(1);
    expect(await scratch.loops()).toHaveLength(2);
    const later = await openPool(scratch);
    await later.backend.detach(id);
    await later.backend[Symbol.asyncDispose]();
    expect(await scratch.mounts()).toEqual([]);
    expect(await scratch.loops()).toEqual([]);
  });

  test('a data folder that is reached by a symbolic link is the same one', async () => {
    await using scratch = await Scratch.open();
    await mkdir(scratch.path('real'));
    await symlink(scratch.path('real'), scratch.path('data'));
    const { backend } = await openPool(scratch);
    const volume = await create(backend, 'volume');
    await openPool(scratch);
    const { backend: last } = await openPool(scratch, { dataDir: scratch.path('real') });
    expect(await last.getVolume(volume.id)).toEqual(volume);
    expect(await scratch.mounts()).toHaveLength(1);
    expect(await scratch.loops()).toHaveLength(1);
    const policy = { overcommitRatio: 1, reservePercent: 0 };
    const { mounted, volumes } = await inspectLoopPool(scratch.path('data'), policy);
    expect({ mounted, volumes: volumes.length }).toEqual({ mounted: true, volumes: 1 });
  });

  test('direct I/O that the kernel refuses is told of once, for the pool and for each volume', async () => {
    await using scratch = await Scratch.open();
    const first = await openPool(scratch);
    const { id } = await create(first.backend, 'volume');
    await first.backend.attach(id, { readOnly: false });
    expect(first.log.messages()).toEqual([]);
    await first.backend.detach(id);
    // The kernel's own switch, as when the file's filesystem could not do it.
    const image = scratch.path('data/pool/volumes', `${id.split('.')[0]}.img`);
    await run(['losetup', '--find', '--sector-size', '4096', '--direct-io=off', image]);
    await run(['losetup', '--direct-io=off', (await findLoops(scratch.path('data/pool.xfs')))[0]?.path ?? '']);

    const { backend, log } = await openPool(scratch);
    await backend.attach(id, { readOnly: false });
    await backend.attach(id, { readOnly: false });
    const told = log.lines.filter(({ message }) => message.includes('direct I/O')).map(({ fields }) => fields);
    expect(told).toEqual([
      expect.objectContaining({ pool: scratch.path('data/pool.xfs') }),
      expect.objectContaining({ volume: id }),
    ]);
    const shown = await inspectLoopPool(scratch.path('data'), { overcommitRatio: 1, reservePercent: 0 });
    expect(shown.device).toMatchObject({ directIo: false });
    expect(shown.volumes[0]?.devices).toMatchObject([{ directIo: false }]);
    expect(renderTables(shown, []).match(/\(no direct I\/O\)/g)).toHaveLength(2);
  });

  test('it grows to a new size, in use, and never shrinks', async () => {
    await using scratch = await Scratch.open();
    const { backend } = await openPool(scratch);
    const { id } = await create(backend, 'volume');
    await backend.attach(id, { readOnly: false });
    const before = await backend.capacity();
    const { backend: larger } = await openPool(scratch, { poolBytes: 2n * GiB });
    const after = await larger.capacity();
    expect(after.totalBytes - before.totalBytes).toBeGreaterThan(GiB - 64n * MiB);
    expect(await larger.devices(id)).toHaveLength(1);
    const { backend: same } = await openPool(scratch, { poolBytes: 2n * GiB });
    expect((await same.capacity()).totalBytes).toBe(after.totalBytes);
    await expect(openPool(scratch, { poolBytes: GiB })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('--pool-size'),
    });
    await create((await openPool(scratch, { poolBytes: 2n * GiB })).backend, 'works');
  });

  test.each(['the file', 'the file and its device'])('a growth that a crash left at %s is finished', async (what) => {
    await using scratch = await Scratch.open();
    await openPool(scratch);
    await truncate(scratch.path('data', 'pool.xfs'), Number(2n * GiB));
    const [loop] = await scratch.loops();
    if (what !== 'the file') await resizeLoop(loop?.path ?? '');
    if (what === 'the file') await reboot(scratch);
    const { backend } = await openPool(scratch, { poolBytes: 2n * GiB });
    expect((await backend.capacity()).totalBytes).toBeGreaterThan(2n * GiB - 256n * MiB);
    await reboot(scratch);
    await openPool(scratch, { poolBytes: 2n * GiB });
    const [again] = await scratch.loops();
    expect(await filesystemBytes(again?.path ?? '', 'xfs')).toBe(2n * GiB);
  });

  test('one that a crash left unfinished is made anew, and its device is let go', async () => {
    await using scratch = await Scratch.open();
    await mkdir(scratch.path('data'));
    const unfinished = scratch.path('data', 'pool.xfs.unfinished');
    await createSparseFile(unfinished, 700n * MiB);
    await attachLoop({ path: unfinished, readOnly: false, blockSize: 512, directIo: true });
    const { backend } = await openPool(scratch);
    await create(backend, 'volume');
    expect(await isThere(unfinished)).toBe(false);
    expect((await scratch.loops()).map(({ backingPath }) => backingPath)).toEqual([scratch.path('data', 'pool.xfs')]);
  });

  test('it is not made too small, and the refusal leaves nothing', async () => {
    await using scratch = await Scratch.open();
    await expect(openPool(scratch, { poolBytes: 100n * MiB })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('at least 512 MiB'),
    });
    expect(await everythingIn(scratch.path('data'))).toEqual(['pool']);
    expect(await scratch.loops()).toEqual([]);
  });

  test.each([
    ['with the name of another node', { node: 'other' }],
    ['with a size below its own', { poolBytes: 600n * MiB }],
  ])(
    'a start %s is refused, and leaves nothing mounted or attached; what is in use it leaves alone',
    async (_, change) => {
      await using scratch = await Scratch.open();
      const { backend } = await openPool(scratch);
      const { id } = await create(backend, 'volume');
      const device = await backend.attach(id, { readOnly: false });
      const [mounts, loops] = [await scratch.mounts(), await scratch.loops()];
      await expect(openPool(scratch, change)).rejects.toThrow(DriverError);
      expect([await scratch.mounts(), await scratch.loops()]).toEqual([mounts, loops]);

      await detachLoop(device.path);
      await expect(openPool(scratch, change)).rejects.toThrow(DriverError);
      expect([await scratch.mounts(), await scratch.loops()]).toEqual([[], []]);
    },
  );

  test('one that can not be mounted is not left attached', async () => {
    await using scratch = await Scratch.open();
    await (await openPool(scratch)).backend[Symbol.asyncDispose]();
    await writeFile(scratch.path('data', 'pool.xfs'), Buffer.alloc(4096), { flag: 'r+' });
    await expect(openPool(scratch)).rejects.toThrow('mount');
    expect(await scratch.loops()).toEqual([]);
  });

  test('it is not mounted over something else', async () => {
    await using scratch = await Scratch.open();
    const { backend } = await openPool(scratch);
    await backend[Symbol.asyncDispose]();
    const other = await scratch.filesystem('other', 'ext4', 64n * MiB);
    await writeFile(`${other}/precious`, '');
    const [loop] = await scratch.loops();
    await unmount(other);
    await scratch.mount('data/pool', loop?.path ?? '', 'ext4');
    await expect(openPool(scratch)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await isThere(scratch.path('data', 'pool', 'precious'))).toBe(true);
    expect(await scratch.loops()).toEqual([loop]);
  });
});

describe.each(['xfs', 'btrfs'] as const)('on %s', (fsType) => {
  test('a pool is a plain folder', async () => {
    await using scratch = await Scratch.open();
    const data = await scratch.filesystem('data', fsType, GiB);
    const mounts = await scratch.mounts();
    const { backend } = await openPoolIn(data);
    expect(await everythingIn(data)).toEqual(['pool', 'pool/cuts', 'pool/trash', 'pool/volumes']);
    expect(await scratch.mounts()).toEqual(mounts);
    const { id } = await create(backend, 'source');
    await create(backend, 'another');
    const source = { kind: 'volume' as const, id };
    await backend.createVolume(
      { id: idOf('clone'), name: 'clone', capacityBytes: 16n * MiB, source, parameters: {} },
      NEVER,
    );
    await backend.attach(idOf('clone'), { readOnly: false });
    const { backend: later } = await openPoolIn(data);
    expect((await later.listVolumes({})).items).toHaveLength(3);
    expect(await later.devices(idOf('clone'))).toHaveLength(1);
  });

  test('a size is not ignored: the pool has a filesystem of its own', async () => {
    await using scratch = await Scratch.open();
    const data = await scratch.filesystem('data', fsType, 2n * GiB);
    const { backend } = await openPoolIn(data, { poolBytes: GiB });
    expect(await everythingIn(data)).toEqual(['pool', 'pool.xfs', 'pool/cuts', 'pool/trash', 'pool/volumes']);
    expect((await backend.capacity()).totalBytes).toBeLessThanOrEqual(GiB);
    await create(backend, 'volume');
  });

  test('a size is refused for a pool that is a plain folder already', async () => {
    await using scratch = await Scratch.open();
    const data = await scratch.filesystem('data', fsType, GiB);
    await create((await openPoolIn(data)).backend, 'volume');
    await expect(openPoolIn(data, { poolBytes: GiB })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/^--pool-size: .* plain folder/),
    });
    expect((await (await openPoolIn(data)).backend.listVolumes({})).items).toHaveLength(1);
  });

  test('what other files take there is not promised', async () => {
    await using scratch = await Scratch.open();
    const data = await scratch.filesystem('data', fsType, GiB);
    const { backend } = await openPoolIn(data, { overcommitRatio: 1 });
    const before = await backend.capacity();
    await writeFile(`${data}/theirs`, Buffer.alloc(Number(400n * MiB), 1), { flush: true });
    const { freeBytes } = await freeSpace(data);
    const after = await backend.capacity();
    expect(after.availableBytes).toBeLessThanOrEqual(freeBytes);
    expect(before.availableBytes - after.availableBytes).toBeGreaterThan(390n * MiB);
    const wanted = after.availableBytes - (after.availableBytes % MiB) + 64n * MiB;
    await expect(create(backend, 'volume', wanted)).rejects.toMatchObject({ code: 'resource-exhausted' });
  });
});
