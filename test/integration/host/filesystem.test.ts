import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { run } from '../../../src/host/exec.ts';
import {
  canGrowMounted,
  checkFilesystem,
  checkToGrow,
  deviceBytes,
  filesystemBytes,
  growFilesystem,
  growUnmounted,
  makeFilesystem,
  probeSignature,
} from '../../../src/host/filesystem.ts';
import { attachLoop, detachLoop, resizeLoop } from '../../../src/host/loop.ts';
import { mount, unmount } from '../../../src/host/mount.ts';
import { allocatedBytes, growSparseFile } from '../../../src/host/sparse-file.ts';
import { freeSpace } from '../../../src/host/statfs.ts';
import { Playground } from './playground.ts';

/** Where to damage, from and bytes: behind the superblock of each, where its descriptors or trees are. */
const DAMAGE = { ext4: [4096, 256 * 1024], xfs: [512, 256 * 1024], btrfs: [1 << 20, 40 << 20] } as const;

describe.each(FS_TYPES)('%s', (fsType) => {
  test('is made, recognised, grown, and clean', async () => {
    await using play = await Playground.open();
    const { path, root } = await play.filesystem('fs', fsType, 320n * MiB);
    expect(await probeSignature(path)).toMatchObject({ type: fsType, uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(await filesystemBytes(path, fsType)).toBe(320n * MiB);
    const before = await freeSpace(root);
    await writeFile(`${root}/file`, Buffer.alloc(1 << 20, 7));

    await growSparseFile(play.path('fs.img'), GiB);
    await resizeLoop(path);
    if (await canGrowMounted(fsType)) {
      await growFilesystem(fsType, path, root);
      await growFilesystem(fsType, path, root); // nothing left to do
    } else {
      await expect(growFilesystem(fsType, path, root)).rejects.toMatchObject({ code: 'failed-precondition' });
      await unmount(root);
      await checkToGrow(path, { interrupted: false, signal: new AbortController().signal });
      await growUnmounted(path);
      await mount({ source: path, target: root, fsType, options: [] });
    }
    expect((await freeSpace(root)).totalBytes).toBeGreaterThan(before.totalBytes * 2n);
    expect(await readFile(`${root}/file`)).toEqual(Buffer.alloc(1 << 20, 7));

    await unmount(root);
    expect(await filesystemBytes(path, fsType)).toBe(GiB);
    expect(await deviceBytes(path)).toBe(GiB);
    expect(await checkFilesystem(path, fsType)).toMatchObject({ clean: true });
  });

  test('leaves its image sparse, and gives freed space back', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('fs', fsType, GiB);
    expect(await allocatedBytes(play.path('fs.img'))).toBeLessThan(150n * MiB);
    await run(['fstrim', root]);
    const empty = await allocatedBytes(play.path('fs.img'));
    await writeFile(`${root}/file`, Buffer.alloc(100 << 20, 7), { flush: true });
    expect(await allocatedBytes(play.path('fs.img'))).toBeGreaterThan(empty + 90n * MiB);
    await run(['rm', `${root}/file`]);
    // What was removed is freed in the background, soon but not at once.
    for (let attempt = 0; attempt < 50; attempt++) {
      await run(['sync', '-f', root]);
      await run(['fstrim', root]);
      if ((await allocatedBytes(play.path('fs.img'))) < empty + 20n * MiB) break;
      await sleep(100);
    }
    expect(await allocatedBytes(play.path('fs.img'))).toBeLessThan(empty + 20n * MiB);
  });

  test('made on a device with small blocks is mounted on one with large blocks', async () => {
    await using play = await Playground.open();
    const { path, root } = await play.filesystem('fs', fsType, 320n * MiB);
    await writeFile(`${root}/file`, 'text');
    await unmount(root);
    await detachLoop(path);
    const options = { path: play.path('fs.img'), readOnly: false, directIo: true };
    const large = await attachLoop({ ...options, blockSize: 4096 });
    await mount({ source: large.path, target: root, fsType, options: [] });
    expect(await readFile(`${root}/file`, 'utf8')).toBe('text');
  });

  test('that is damaged is not clean, and checking changes nothing', async () => {
    await using play = await Playground.open();
    const { path, root } = await play.filesystem('fs', fsType, 320n * MiB);
    for (let index = 0; index < 50; index++) await writeFile(`${root}/file-${index}`, 'x'.repeat(5000));
    await unmount(root);
    const [from, bytes] = DAMAGE[fsType];
    {
      await using file = await open(path, 'r+');
      await file.write(randomBytes(bytes), 0, bytes, from);
      await file.sync();
    }
    const before = await run(['sha256sum', play.path('fs.img')]);
    expect((await checkFilesystem(path, fsType)).clean).toBe(false);
    expect((await run(['sha256sum', play.path('fs.img')])).stdout).toBe(before.stdout);
  });

  test('refuses a device that is too small for it, untouched', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('tiny', 4n * MiB);
    await expect(makeFilesystem(path, fsType, {})).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('at least'),
    });
    expect(await probeSignature(path)).toBeUndefined();
  });
});

test('xfs that can not use the very end of its device is fine, and so is growing it', async () => {
  await using play = await Playground.open();
  // Four allocation groups of 80 MiB, and less than the least that a fifth can have.
  const { path, root } = await play.filesystem('fs', 'xfs', 320n * MiB + 128n * 1024n);
  await growFilesystem('xfs', path, root);
  await growSparseFile(play.path('fs.img'), 400n * MiB + 64n * 1024n);
  await resizeLoop(path);
  await growFilesystem('xfs', path, root);
  await growFilesystem('xfs', path, root);
  await unmount(root);
  expect(await filesystemBytes(path, 'xfs')).toBeGreaterThan(390n * MiB);
});

describe('probing', () => {
  test('finds nothing on a blank device, and a partition table where there is one', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('disk', 8n * MiB);
    expect(await probeSignature(path)).toBeUndefined();
    const table = Buffer.alloc(512);
    table.set([0x80, 0, 2, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 0xf8, 0x3f, 0, 0], 446); // one Linux partition
    table.writeUInt16BE(0x55aa, 510);
    {
      await using file = await open(path, 'r+');
      await file.write(table, 0, 512, 0);
      await file.sync();
    }
    expect(await probeSignature(path)).toMatchObject({ type: 'dos' });
  });

  test('signatures that contradict each other are an error', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('disk', 320n * MiB);
    await makeFilesystem(path, 'btrfs', {});
    await run(['dd', 'if=/dev/zero', `of=${play.path('other')}`, 'bs=1M', 'count=0', 'seek=320', 'status=none']);
    await run(['mkfs.ext4', '-q', '-F', play.path('other')]);
    await run([
      'dd',
      `if=${play.path('other')}`,
      `of=${path}`,
      'bs=4096',
      'count=4',
      'conv=notrunc,fsync',
      'status=none',
    ]);
    await expect(probeSignature(path)).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  test('a device that is not there is an error, not blank', async () => {
    await expect(probeSignature('/dev/no-such-device')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the smallest', () => {
  test.each([
    ['ext4', 8n * MiB],
    ['xfs', 300n * MiB],
    ['btrfs', 16n * MiB],
  ] as const)('%s can be mounted and has a journal where there is one', async (fsType, bytes) => {
    await using play = await Playground.open();
    const { path, root } = await play.filesystem('fs', fsType, bytes);
    await writeFile(`${root}/file`, 'content', { flush: true });
    if (fsType === 'ext4') expect((await run(['dumpe2fs', '-h', path])).stdout).toContain('has_journal');
  });
});

test('ext4 has none of the features that kernels of 5.14 refuse', async () => {
  await using play = await Playground.open();
  const { path } = await play.loop('fs.img', 32n * MiB);
  await makeFilesystem(path, 'ext4', {});
  const { stdout } = await run(['dumpe2fs', '-h', path]);
  const features = /Filesystem features: +(.*)/.exec(stdout)?.[1]?.split(' ') ?? [];
  expect(features).toEqual(expect.arrayContaining(['has_journal', 'extent', '64bit', 'metadata_csum']));
  expect(features).not.toEqual(expect.arrayContaining(['orphan_file']));
  expect(features).not.toEqual(expect.arrayContaining(['metadata_csum_seed']));
  expect(stdout).toMatch(/Reserved block count: +0\n/);
});
