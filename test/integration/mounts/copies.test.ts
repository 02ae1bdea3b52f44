/** Staging what was copied from another volume, also beside it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { GiB } from '../../../src/core/bytes.ts';
import { FS_TYPES, type Volume } from '../../../src/core/volume.ts';
import { run } from '../../../src/host/exec.ts';
import { checkFilesystem } from '../../../src/host/filesystem.ts';
import { freeSpace } from '../../../src/host/statfs.ts';
import { block, capability, mountAccess, NodePlayground, SIZE } from './node-playground.ts';

// The kernel would remember the parts of a btrfs of several devices, whoever gets their loop devices next.
afterAll(async () => void (await run(['btrfs', 'device', 'scan', '--forget'])));

describe.each(FS_TYPES)('%s', (fsType) => {
  const asked = capability(mountAccess(fsType));

  test('is mounted beside its copy, and each keeps its own data', async () => {
    await using play = await NodePlayground.open();
    const source = await play.create('source');
    await play.stage(source.id, asked);
    await writeFile(`${play.staging}/file`, 'source');
    await play.unstage(source.id);
    const copy = await play.create('copy', SIZE, { kind: 'volume', id: source.id });
    expect(copy.content).toEqual({ kind: 'filesystem', fsType, identity: 'copied' });

    await play.stage(source.id, asked);
    await mkdir(play.path('copy'));
    await play.stage(copy.id, asked, play.path('copy'));
    expect(await readFile(play.path('copy', 'file'), 'utf8')).toBe('source');
    await writeFile(play.path('copy', 'file'), 'copy');
    expect(await readFile(`${play.staging}/file`, 'utf8')).toBe('source');
    await play.unstage(copy.id, play.path('copy'));
    await play.unstage(source.id);
  });

  test('is recovered in a copy that shows it as a crash would have left it', async () => {
    await using play = await NodePlayground.open();
    const source = await play.create('source');
    await play.stage(source.id, asked);
    await run(['sync', '--file-system', play.staging]);
    // In the log of the filesystem only: nothing has written back the rest yet.
    await writeFile(`${play.staging}/file`, 'synced', { flush: true });
    const copy = await play.create('copy', GiB, { kind: 'volume', id: source.id });
    await mkdir(play.path('copy'));
    for (const _ of ['once', 'again']) {
      await play.stage(copy.id, asked, play.path('copy'));
      expect(await readFile(play.path('copy', 'file'), 'utf8')).toBe('synced');
      await play.unstage(copy.id, play.path('copy'));
    }
    const device = await play.backend.attach(copy.id, { readOnly: true });
    expect(await checkFilesystem(device.path, fsType)).toMatchObject({ clean: true });
  });

  test('fills a volume that is larger than its source', async () => {
    await using play = await NodePlayground.open();
    const source = await play.create('source');
    await play.stage(source.id, asked);
    await writeFile(`${play.staging}/file`, 'source');
    const before = await freeSpace(play.staging);
    await play.unstage(source.id);
    const copy = await play.create('copy', GiB, { kind: 'volume', id: source.id });
    await play.stage(copy.id, asked);
    expect((await freeSpace(play.staging)).totalBytes).toBeGreaterThan(before.totalBytes * 2n);
    expect(await readFile(`${play.staging}/file`, 'utf8')).toBe('source');
    await play.stage(copy.id, asked);
    const [device] = await play.backend.devices(copy.id);
    await play.unstage(copy.id);
    const again = await play.backend.attach(copy.id, { readOnly: true });
    expect(again.devNumber).toBeDefined();
    expect(device).toBeDefined();
    expect(await checkFilesystem(again.path, fsType)).toMatchObject({ clean: true });
  });
});

/** A volume that is one of the two devices of a btrfs, which the kernel has registered; nothing is attached. */
async function halfOfBtrfs(play: NodePlayground): Promise<Volume> {
  const [half, other] = [await play.create('half'), await play.create('other')];
  for (const { id } of [half, other]) {
    await play.stage(id, capability(block));
    await play.unstage(id);
  }
  const devices = await Promise.all([half, other].map(({ id }) => play.backend.attach(id, { readOnly: false })));
  await run(['mkfs.btrfs', '-q', '-f', '-K', ...devices.map(({ path }) => path)]);
  return half;
}

test('a btrfs is mounted beside its copy on a loop device that another btrfs had before', async () => {
  await using play = await NodePlayground.open();
  const asked = capability(mountAccess('btrfs'));
  const source = await play.create('source');
  await play.stage(source.id, asked);
  await play.unstage(source.id);
  const copy = await play.create('copy', SIZE, { kind: 'volume', id: source.id });
  await halfOfBtrfs(play);
  for (const { id } of (await play.backend.listVolumes({})).items) await play.backend.detach(id);
  await mkdir(play.path('copy'));
  await play.stage(source.id, asked);
  await play.stage(copy.id, asked, play.path('copy'));
});

test('two btrfs with one UUID that the kernel can not tell apart are refused, and why', async () => {
  await using play = await NodePlayground.open();
  // Of several devices: to those no kernel gives another identity.
  const source = await halfOfBtrfs(play);
  const copy = await play.create('copy', SIZE, { kind: 'volume', id: source.id });
  await play.stage(source.id, capability(mountAccess('btrfs')));
  await mkdir(play.path('copy'));
  await expect(play.stage(copy.id, capability(mountAccess('btrfs')), play.path('copy'))).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining('btrfs with the same UUID'),
  });
  expect(await play.backend.devices(copy.id)).toEqual([]);
  await play.unstage(source.id);
});
