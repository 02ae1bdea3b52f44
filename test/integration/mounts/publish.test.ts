import { mkdir, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import type { Capability } from '../../../src/core/capability.ts';
import { FS_TYPES, type FsType } from '../../../src/core/volume.ts';
import { run } from '../../../src/host/exec.ts';
import { bindMount } from '../../../src/host/mount.ts';
import { mountAt } from '../../../src/host/mount-table.ts';
import { block, capability, mountAccess, NodePlayground } from './node-playground.ts';

describe.each(FS_TYPES)('a filesystem: %s', (fsType) => {
  test('appears at its target, which is made and removed', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(mountAccess(fsType)));
    await writeFile(`${play.staging}/file`, 'text');
    await play.publish(id, 'target');
    await play.publish(id, 'target');
    expect(await readFile(play.path('target', 'file'), 'utf8')).toBe('text');
    await play.unpublish(id, 'target');
    expect(await readdir(play.path())).toEqual(['staging']);
    await play.unpublish(id, 'target');
    expect(await readFile(`${play.staging}/file`, 'utf8')).toBe('text');
  });
});

test('a device that was not staged as one is not published: it could still be formatted', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.backend.attach(id, { readOnly: false });
  const asked = { capability: capability(block) };
  await expect(play.publish(id, 'target', asked)).rejects.toMatchObject({ code: 'failed-precondition' });
  await play.stage(id, asked.capability);
  await play.publish(id, 'target', asked);
});

describe('a filesystem', () => {
  test('has several targets, read-only ones too; another kind on one target is refused', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id);
    await play.publish(id, 'one');
    await play.publish(id, 'two', { readOnly: true });
    await play.publish(id, 'two', { readOnly: true });
    await writeFile(play.path('one', 'file'), 'text');
    await expect(writeFile(play.path('two', 'file'), 'text')).rejects.toMatchObject({ code: 'EROFS' });
    await expect(play.publish(id, 'two')).rejects.toMatchObject({ code: 'already-exists' });
    await expect(play.publish(id, 'one', { readOnly: true })).rejects.toMatchObject({ code: 'already-exists' });
    await expect(play.unstage(id)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining(play.path('one')),
    });
    await play.unpublish(id, 'one');
    await play.unpublish(id, 'two');
    await play.unstage(id);
  });

  test('of one writer has one target; a subPath in it does not count', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const only = { capability: capability(mountAccess(), 'SINGLE_NODE_SINGLE_WRITER') };
    await play.stage(id, only.capability);
    await play.publish(id, 'one', only);
    await mkdir(play.path('one', 'folder'));
    await mkdir(play.path('subpath'));
    await bindMount(play.path('one', 'folder'), play.path('subpath'), { readOnly: false });
    await play.publish(id, 'one', only);
    await expect(play.publish(id, 'two', only)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await readdir(play.path())).not.toContain('two');
    await play.unpublish(id, 'one');
    await play.publish(id, 'two', only);
  });

  test('of one writer keeps others out, whatever they ask for', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const only = { capability: capability(mountAccess(), 'SINGLE_NODE_SINGLE_WRITER') };
    const shared = { capability: capability(mountAccess(), 'SINGLE_NODE_MULTI_WRITER') };
    await play.stage(id, only.capability);
    await play.publish(id, 'one', only);
    for (const other of [shared, {}, { readOnly: true }]) {
      await expect(play.publish(id, 'two', other)).rejects.toMatchObject({ code: 'failed-precondition' });
    }
    await expect(play.publish(id, 'one', shared)).rejects.toMatchObject({ code: 'already-exists' });
    await play.publish(id, 'one', only);
    await play.unpublish(id, 'one');
    await play.publish(id, 'two', shared);
    await expect(play.publish(id, 'two', only)).rejects.toMatchObject({ code: 'already-exists' });
    await expect(play.publish(id, 'one', only)).rejects.toMatchObject({ code: 'failed-precondition' });
    await play.publish(id, 'one', shared);
    await play.unpublish(id, 'one');
    await play.unpublish(id, 'two');
    await play.unstage(id);
  });

  test('of one writer that was never mounted keeps nobody out', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const only = { capability: capability(mountAccess(), 'SINGLE_NODE_SINGLE_WRITER') };
    const shared = { capability: capability(mountAccess(), 'SINGLE_NODE_MULTI_WRITER') };
    await play.stage(id);
    await writeFile(play.path('one'), 'in the way');
    await expect(play.publish(id, 'one', only)).rejects.toMatchObject({ code: 'failed-precondition' });
    await play.publish(id, 'two', shared);
    await rm(play.path('one'));
    await play.publish(id, 'one', shared);
    await play.publish(id, 'three', shared);
  });

  test('shows what is staged: another type or other flags are refused', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const asked = (fsType?: FsType, flags: readonly string[] = []) => ({
      capability: capability(mountAccess(fsType, flags)),
    });
    await play.stage(id, capability(mountAccess('xfs', ['noatime'])));
    const others = [asked('ext4', ['noatime']), asked('xfs'), asked(undefined, ['nodev', 'noatime'])];
    for (const other of others) {
      await expect(play.publish(id, 'target', other)).rejects.toMatchObject({ code: 'failed-precondition' });
    }
    expect(await readdir(play.path())).toEqual(['staging']);
    await play.publish(id, 'target', asked('xfs', ['noatime']));
    await play.publish(id, 'target', asked(undefined, ['noatime']));
    for (const other of others) {
      await expect(play.publish(id, 'target', other)).rejects.toMatchObject({ code: 'already-exists' });
    }
  });

  test('is not published before it is staged, nor from elsewhere', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await expect(play.publish(id, 'target')).rejects.toMatchObject({ code: 'failed-precondition' });
    await play.stage(id);
    await expect(play.publish(id, 'target', { stagingPath: play.path('else') })).rejects.toMatchObject({
      code: 'failed-precondition',
    });
    await expect(play.publish(id, 'target', { capability: capability(block) })).rejects.toMatchObject({
      code: 'failed-precondition',
    });
    await expect(play.publish(id, 'staging')).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(await readdir(play.path())).toEqual(['staging']);
  });

  test('staged for readers is published for readers', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const reader = { capability: capability(mountAccess(), 'SINGLE_NODE_READER_ONLY') };
    await play.stage(id, reader.capability);
    await play.publish(id, 'target', reader);
    await play.publish(id, 'target', { ...reader, readOnly: true });
    await expect(writeFile(play.path('target', 'file'), '')).rejects.toMatchObject({ code: 'EROFS' });
    await expect(play.publish(id, 'other')).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  test('two volumes do not mix up', async () => {
    await using play = await NodePlayground.open();
    const [one, two] = [await play.create('one'), await play.create('two')];
    await mkdir(play.path('second'));
    await play.stage(one.id);
    await play.stage(two.id, capability(), play.path('second'));
    await play.publish(one.id, 'target');
    const second = { stagingPath: play.path('second') };
    await expect(play.publish(two.id, 'target', second)).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(play.stage(two.id)).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(play.unpublish(two.id, 'target')).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(play.unstage(two.id)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await mountAt(play.path('target'))).toBeDefined();
    expect(await mountAt(play.path('second'))).toBeDefined();
  });
});

describe('where the folders of the CO are seen twice', () => {
  test.each<[string, Capability]>([
    ['a filesystem', capability(mountAccess(), 'SINGLE_NODE_SINGLE_WRITER')],
    ['a block device', capability(block, 'SINGLE_NODE_SINGLE_WRITER')],
  ])('%s is published once, and taken away from both', async (_, asked) => {
    await using play = await NodePlayground.open();
    for (const name of ['kubelet', 'twin']) await mkdir(play.path(name));
    await run(['mount', '--bind', play.path('kubelet'), play.path('kubelet')]);
    await run(['mount', '--make-shared', play.path('kubelet')]);
    await run(['mount', '--bind', play.path('kubelet'), play.path('twin')]);
    await mkdir(play.path('kubelet', 'staging'));
    const staging = play.path('kubelet', 'staging');
    const only = { capability: asked, stagingPath: staging };
    const { id } = await play.create('volume');
    await play.stage(id, asked, staging);
    await play.publish(id, 'kubelet/one', only);
    expect(await mountAt(play.path('twin', 'one'))).toBeDefined(); // else this test shows nothing
    await play.publish(id, 'kubelet/one', only);
    await expect(play.publish(id, 'kubelet/two', only)).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(play.unstage(id, staging)).rejects.toMatchObject({ code: 'failed-precondition' });
    await play.unpublish(id, 'kubelet/one');
    expect(await mountAt(play.path('twin', 'one'))).toBeUndefined();
    await play.publish(id, 'kubelet/two', only);
    await play.unpublish(id, 'kubelet/two');
    await play.unstage(id, staging);
    expect(await play.backend.devices(id)).toEqual([]);
  });
});

describe('a target', () => {
  test('needs a parent, which is the CO’s', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id);
    await expect(play.publish(id, 'no/such/target')).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/^target_path: /),
    });
  });

  test('that is something else is left alone', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id);
    await writeFile(play.path('file'), 'data');
    await symlink(play.path('nowhere'), play.path('link'));
    await mkdir(play.path('full'));
    await writeFile(play.path('full', 'file'), 'data');
    await mkdir(play.path('tmpfs'));
    await run(['mount', '-t', 'tmpfs', 'none', play.path('tmpfs')]);
    for (const name of ['file', 'link', 'tmpfs']) {
      await expect(play.publish(id, name)).rejects.toMatchObject({ code: 'failed-precondition' });
    }
    for (const name of ['file', 'full', 'tmpfs', 'link']) {
      await expect(play.unpublish(id, name)).rejects.toMatchObject({ code: 'failed-precondition' });
    }
    expect(await readFile(play.path('file'), 'utf8')).toBe('data');
    expect(await readdir(play.path('full'))).toEqual(['file']);
    expect(await mountAt(play.path('tmpfs'))).toBeDefined();
  });

  test('that is there already is used, and removed', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id);
    await mkdir(play.path('target'));
    await play.publish(id, 'target');
    await play.unpublish(id, 'target');
    expect(await readdir(play.path())).toEqual(['staging']);
  });

  test('behind a symbolic link is found again', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id);
    await mkdir(play.path('pods'));
    await symlink(play.path('pods'), play.path('link'));
    await play.publish(id, 'link/target');
    await play.publish(id, 'link/target');
    expect(await mountAt(play.path('pods', 'target'))).toBeDefined();
    await play.unpublish(id, 'link/target');
    expect(await readdir(play.path('pods'))).toEqual([]);
  });

  test('of an unknown volume is not touched', async () => {
    await using play = await NodePlayground.open();
    await mkdir(play.path('target'));
    await play.unpublish('vol-nothing', 'target');
    await play.unpublish('vol-nothing', 'no/such/target');
    expect(await readdir(play.path())).toContain('target');
    await expect(play.publish('vol-nothing', 'target')).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('a block device', () => {
  const asBlock = { capability: capability(block) };

  test('appears at a file, which is made and removed', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await expect(play.publish(id, 'target', asBlock)).rejects.toMatchObject({ code: 'failed-precondition' });
    await play.stage(id, asBlock.capability);
    await play.publish(id, 'target', asBlock);
    await play.publish(id, 'target', asBlock);
    expect((await stat(play.path('target'))).isBlockDevice()).toBe(true);
    {
      await using device = await open(play.path('target'), 'r+');
      await device.write(Buffer.alloc(4096, 7), 0, 4096, 0);
      await device.sync();
    }
    await expect(play.unstage(id)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining(play.path('target')),
    });
    await expect(play.publish(id, 'folder')).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(play.stage(id)).rejects.toMatchObject({ code: 'already-exists' });
    await play.unpublish(id, 'target');
    await play.unpublish(id, 'target');
    expect(await readdir(play.path())).toEqual(['staging']);
    await play.unstage(id);
    expect(await play.backend.devices(id)).toEqual([]);
  });

  test('that is published read-only can not be written to', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, asBlock.capability);
    await play.publish(id, 'reader', { ...asBlock, readOnly: true });
    await play.publish(id, 'reader', { ...asBlock, readOnly: true });
    await play.publish(id, 'writer', asBlock);
    await expect(play.publish(id, 'reader', asBlock)).rejects.toMatchObject({ code: 'already-exists' });
    const reader = capability(block, 'SINGLE_NODE_READER_ONLY');
    await expect(play.stage(id, reader)).rejects.toMatchObject({ code: 'already-exists' });
    await play.stage(id, asBlock.capability);
    {
      await using device = await open(play.path('reader'), 'r+').catch(() => undefined);
      await expect(device?.write(Buffer.alloc(512), 0, 512, 0) ?? Promise.reject(new Error())).rejects.toThrow();
    }
    await play.unpublish(id, 'reader');
    await play.unpublish(id, 'writer');
    await play.unstage(id);
    expect(await play.backend.devices(id)).toEqual([]);
  });

  test('of a reader is attached read-only, and is nothing to write to', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const reader = { capability: capability(block, 'SINGLE_NODE_READER_ONLY') };
    await play.stage(id, reader.capability);
    await play.publish(id, 'target', reader);
    await expect(play.publish(id, 'writer', asBlock)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('staged read-only'),
    });
    await expect(play.stage(id, asBlock.capability)).rejects.toMatchObject({ code: 'already-exists' });
    await play.stage(id, reader.capability);
    expect(await play.backend.devices(id)).toEqual([expect.objectContaining({ readOnly: true })]);
    await play.unpublish(id, 'target');
    await play.unstage(id);
  });

  test('of one writer has one target', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const only = { capability: capability(block, 'SINGLE_NODE_SINGLE_WRITER') };
    await play.stage(id, only.capability);
    await play.publish(id, 'one', only);
    await play.publish(id, 'one', only);
    await expect(play.publish(id, 'two', only)).rejects.toMatchObject({ code: 'failed-precondition' });
    await play.unpublish(id, 'one');
    await play.publish(id, 'two', only);
    await play.unpublish(id, 'two');
    await play.unstage(id);
  });
});
