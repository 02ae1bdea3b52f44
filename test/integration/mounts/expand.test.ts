import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { canGrowMounted, deviceBytes } from '../../../src/host/filesystem.ts';
import { freeSpace } from '../../../src/host/statfs.ts';
import { block, capability, live, mountAccess, NodePlayground, SIZE } from './node-playground.ts';

describe.each(FS_TYPES)('expanding %s', (fsType) => {
  test('while it is published, through any of its paths; again is fine', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(mountAccess(fsType)));
    await play.publish(id, 'reader', { readOnly: true });
    await play.publish(id, 'target');
    await writeFile(play.path('target', 'file'), 'text');
    const before = await freeSpace(play.staging);
    const at = (name: string) => play.node.expand({ volumeId: id, volumePath: play.path(name) }, live);
    expect(await at('target')).toBe(SIZE); // nothing to do yet

    await play.backend.expandVolume(id, GiB);
    if (!(await canGrowMounted(fsType))) {
      await expect(at('target')).rejects.toMatchObject({ code: 'failed-precondition' });
      await play.unpublish(id, 'target');
      await play.unpublish(id, 'reader');
      await play.unstage(id);
      await play.stage(id);
      await play.publish(id, 'target');
      await play.publish(id, 'reader', { readOnly: true });
    }
    expect(await at('reader')).toBe(GiB);
    expect(await at('target')).toBe(GiB);
    expect(await at('staging')).toBe(GiB);
    expect((await freeSpace(play.path('target'))).totalBytes).toBeGreaterThan(before.totalBytes * 2n);
    expect(await readFile(play.path('target', 'file'), 'utf8')).toBe('text');
  });

  test('grows at the next stage when it was not in use', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(mountAccess(fsType)));
    const before = await freeSpace(play.staging);
    await play.unstage(id);
    await play.backend.expandVolume(id, GiB);
    await play.stage(id);
    expect((await freeSpace(play.staging)).totalBytes).toBeGreaterThan(before.totalBytes * 2n);
    await play.unstage(id);
  });
});

test('a size that the caller does not expect is refused, and nothing grows', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  await play.backend.expandVolume(id, GiB);
  const before = await freeSpace(play.staging);
  const place = { volumeId: id, volumePath: play.staging };
  for (const range of [{ requiredBytes: GiB + 1n }, { limitBytes: GiB - 1n }]) {
    await expect(play.node.expand({ ...place, ...range }, live)).rejects.toMatchObject({ code: 'out-of-range' });
  }
  expect((await freeSpace(play.staging)).totalBytes).toBe(before.totalBytes);
});

test('a block device has the new size', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  const asBlock = { capability: capability(block) };
  await play.stage(id, asBlock.capability);
  await play.publish(id, 'target', asBlock);
  await play.backend.expandVolume(id, GiB);
  expect(await play.node.expand({ volumeId: id, volumePath: play.path('target') }, live)).toBe(GiB);
  expect(await deviceBytes(play.path('target'))).toBe(GiB);
});

test('what is mounted read-only can not grow, and says so', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  const reader = capability(mountAccess('xfs'), 'SINGLE_NODE_READER_ONLY');
  await play.stage(id, reader);
  await play.backend.expandVolume(id, GiB);
  const request = { volumeId: id, volumePath: play.staging };
  await expect(play.node.expand(request, live)).rejects.toMatchObject({ code: 'failed-precondition' });
});

describe('statistics', () => {
  test('are those of the filesystem', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume', 64n * MiB);
    await play.stage(id);
    await play.publish(id, 'target');
    const request = { volumeId: id, volumePath: play.path('target') };
    const [before] = await play.node.stats(request);
    await writeFile(play.path('target', 'file'), Buffer.alloc(10 << 20, 1), { flush: true });
    const [bytes, inodes] = await play.node.stats(request);
    expect(bytes).toMatchObject({ unit: 'bytes', total: before?.total });
    expect((bytes?.used ?? 0n) - (before?.used ?? 0n)).toBeGreaterThanOrEqual(10n * MiB);
    expect(inodes).toMatchObject({ unit: 'inodes', used: 12n });
    expect((inodes?.used ?? 0n) + (inodes?.available ?? 0n)).toBe(inodes?.total);
    expect(await play.node.stats({ volumeId: id, volumePath: play.staging })).toHaveLength(2);
  });

  test('of a block device are its size', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(block));
    await play.publish(id, 'target', { capability: capability(block) });
    expect(await play.node.stats({ volumeId: id, volumePath: play.path('target') })).toEqual([
      { unit: 'bytes', total: SIZE, used: 0n, available: 0n },
    ]);
  });

  test('and expansion know the wrong volume and the wrong path', async () => {
    await using play = await NodePlayground.open();
    const [one, two] = [await play.create('one'), await play.create('two')];
    await mkdir(play.path('second'));
    await play.stage(one.id);
    await play.stage(two.id, capability(), play.path('second'));
    await play.publish(one.id, 'target');
    const wrong = [
      { volumeId: 'vol-nothing', volumePath: play.path('target') },
      { volumeId: two.id, volumePath: play.path('target') },
      { volumeId: one.id, volumePath: play.path() },
      { volumeId: one.id, volumePath: play.path('no', 'such', 'path') },
    ];
    for (const request of wrong) {
      await expect(play.node.stats(request)).rejects.toMatchObject({ code: 'not-found' });
      await expect(play.node.expand(request, live)).rejects.toMatchObject({ code: 'not-found' });
    }
  });
});
