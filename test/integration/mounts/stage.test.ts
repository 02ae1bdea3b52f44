import { open, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { DriverError } from '../../../src/core/errors.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { startChild } from '../../../src/host/child.ts';
import { run } from '../../../src/host/exec.ts';
import { checkFilesystem, makeFilesystem, probeSignature } from '../../../src/host/filesystem.ts';
import { freezeFilesystem, openForFreeze } from '../../../src/host/freeze.ts';
import { mountAt } from '../../../src/host/mount-table.ts';
import { allocatedBytes } from '../../../src/host/sparse-file.ts';
import { block, capability, live, mountAccess, NodePlayground } from './node-playground.ts';

test('a filesystem that has shut down after an I/O error is unpublished and unstaged like any other', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id, capability(mountAccess('xfs')));
  await play.publish(id, 'target');
  await run(['xfs_io', '-x', '-c', 'shutdown', play.staging]);
  await expect(readFile(`${play.staging}/file`)).rejects.toMatchObject({ code: 'EIO' });
  await play.unpublish(id, 'target');
  await play.unstage(id);
  expect(await mountAt(play.staging)).toBeUndefined();
  expect(await play.backend.devices(id)).toEqual([]);
  await play.stage(id, capability(mountAccess('xfs')));
});

describe.each(FS_TYPES)('%s', (fsType) => {
  const asked = capability(mountAccess(fsType));

  test('is made once, mounted, and kept over unstage and stage', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, asked);
    expect((await play.backend.getVolume(id))?.content).toEqual({ kind: 'filesystem', fsType, identity: 'own' });
    expect(await mountAt(play.staging)).toMatchObject({ fsType });
    await writeFile(`${play.staging}/file`, 'kept');
    await play.stage(id, asked); // again
    await play.stage(id); // without saying which
    await play.unstage(id);
    expect(await mountAt(play.staging)).toBeUndefined();
    expect(await play.backend.devices(id)).toEqual([]);
    await play.unstage(id); // again

    await play.stage(id, asked);
    expect(await readFile(`${play.staging}/file`, 'utf8')).toBe('kept');
  });

  test('is read-only for readers, made first when it is blank', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const reader = capability(mountAccess(fsType), 'SINGLE_NODE_READER_ONLY');
    await play.stage(id, reader);
    await expect(writeFile(`${play.staging}/file`, '')).rejects.toMatchObject({ code: 'EROFS' });
    await play.stage(id, reader);
    await expect(play.stage(id, asked)).rejects.toMatchObject({ code: 'already-exists' });
    await play.unstage(id);
  });
});

describe('what is asked for', () => {
  test('another filesystem than the volume has is refused, by name of the field', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(mountAccess('xfs')));
    await play.unstage(id);
    await expect(play.stage(id, capability(mountAccess('ext4')))).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/^volume_capability\.mount\.fs_type: ext4/),
    });
    expect(await play.backend.devices(id)).toEqual([]);
  });

  test('mount flags are honoured', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(mountAccess('ext4', ['noatime,nodev', 'data=journal'])));
    const entry = await mountAt(play.staging);
    expect(entry?.options).toEqual(expect.arrayContaining(['noatime', 'nodev']));
    expect(entry?.superOptions).toContain('data=journal');
  });

  test('another filesystem than is staged is refused as staged otherwise', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(mountAccess('xfs')));
    await expect(play.stage(id, capability(mountAccess('ext4')))).rejects.toMatchObject({ code: 'already-exists' });
    await play.stage(id, capability(mountAccess('xfs')));
  });

  test('mount flags that the filesystem does not know are refused, and nothing stays attached', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const asked = capability(mountAccess('ext4', ['no-such-flag=secret']));
    await expect(play.stage(id, asked)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.not.stringContaining('secret'),
    });
    expect(await play.backend.devices(id)).toEqual([]);
    await play.stage(id);
  });

  test('a volume that is too small for it stays blank', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume', 32n * MiB);
    await expect(play.stage(id, capability(mountAccess('xfs')))).rejects.toMatchObject({ code: 'failed-precondition' });
    expect((await play.backend.getVolume(id))?.content).toEqual({ kind: 'blank' });
    await play.stage(id, capability(mountAccess('ext4')));
  });

  test('an unknown volume is not found; a staging folder that is not there is named', async () => {
    await using play = await NodePlayground.open();
    await expect(play.stage('vol-nothing')).rejects.toMatchObject({ code: 'not-found' });
    const { id } = await play.create('volume');
    await expect(play.stage(id, capability(), play.path('nothing'))).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/^staging_target_path: /),
    });
    expect(await play.backend.devices(id)).toEqual([]);
    await play.unstage('vol-nothing');
    await play.unstage(id);
    await play.unstage(id, play.path('nothing', 'at all'));
  });

  test('a caller that has gone away leaves nothing', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const gone = AbortSignal.abort(new Error('gone'));
    const request = { volumeId: id, stagingPath: play.staging, capability: capability() };
    await expect(play.node.stage(request, gone)).rejects.toMatchObject({ code: 'cancelled' });
    const stopping = new DriverError('unavailable', 'the driver is stopping');
    await expect(play.node.stage(request, AbortSignal.abort(stopping))).rejects.toBe(stopping);
    expect(await play.backend.devices(id)).toEqual([]);
    await play.node.stage(request, live);
  });
});

describe('formatting', () => {
  test('ext4 leaves nothing to be cleared later, and takes no room for it', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume', GiB);
    await play.stage(id);
    const [device] = await play.backend.devices(id);
    const { stdout } = await run(['dumpe2fs', device?.path ?? '']);
    const groups = stdout.match(/^Group \d+: .*$/gm) ?? [];
    expect(groups).toHaveLength(8);
    expect(groups.filter((group) => !group.includes('ITABLE_ZEROED'))).toEqual([]);
    const image = play.path('..', 'data', 'pool', 'volumes', `${id.split('.')[0]}.img`);
    expect(await allocatedBytes(image)).toBeLessThan(8n * MiB);
    await play.unstage(id);
    const again = await play.backend.attach(id, { readOnly: true });
    expect(await checkFilesystem(again.path, 'ext4')).toMatchObject({ clean: true });
  });

  test('never happens where blkid finds anything', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const device = await play.backend.attach(id, { readOnly: false });
    await makeFilesystem(device.path, 'ext4', {});
    const before = await probeSignature(device.path);
    await play.backend.detach(id);
    await expect(play.stage(id)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('holds ext4'),
    });
    expect(await play.backend.devices(id)).toEqual([]);
    const again = await play.backend.attach(id, { readOnly: true });
    expect(await probeSignature(again.path)).toEqual(before);
    expect((await play.backend.getVolume(id))?.content).toEqual({ kind: 'blank' });
  });

  test('that was interrupted is done again, also with another type', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const device = await play.backend.attach(id, { readOnly: false });
    await play.backend.setContent(id, { kind: 'formatting', fsType: 'btrfs' });
    await makeFilesystem(device.path, 'btrfs', {});
    await play.backend.detach(id);
    await play.stage(id, capability(mountAccess('ext4')));
    const [staged] = await play.backend.devices(id);
    expect(await probeSignature(staged?.path ?? '')).toMatchObject({ type: 'ext4' });
    // What an earlier attempt has written is not taken for zeros.
    expect((await run(['dumpe2fs', staged?.path ?? ''])).stdout).toMatch(/^Group (?!.*ITABLE_ZEROED)/m);
  });

  test('never happens after a volume was a block device', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(block));
    expect((await play.backend.getVolume(id))?.content).toEqual({ kind: 'raw' });
    const [device] = await play.backend.devices(id);
    await play.unstage(id);
    expect(device).toMatchObject({ readOnly: false });
    await expect(play.stage(id)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await play.backend.devices(id)).toEqual([]);

    const raw = await play.backend.attach(id, { readOnly: false });
    await makeFilesystem(raw.path, 'xfs', {});
    await play.unstage(id);
    await expect(play.stage(id, capability(mountAccess('ext4')))).rejects.toMatchObject({ code: 'invalid-argument' });
    await play.stage(id);
    expect(await mountAt(play.staging)).toMatchObject({ fsType: 'xfs' });
  });

  test('a failed stage leaves a device that was staged before', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(block));
    await expect(play.stage(id)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await play.backend.devices(id)).toHaveLength(1);
  });
});

describe('what is in the way', () => {
  test('something else mounted on the staging folder is left alone', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await run(['mount', '-t', 'tmpfs', 'none', play.staging]);
    await expect(play.stage(id)).rejects.toMatchObject({ code: 'failed-precondition' });
    await play.unstage(id);
    expect(await mountAt(play.staging)).toMatchObject({ fsType: 'tmpfs' });
  });

  test('symbolic links on the way to the staging folder do not confuse', async () => {
    await using play = await NodePlayground.open();
    await symlink(play.path(), play.path('link'));
    const staging = play.path('link', 'staging');
    const { id } = await play.create('volume');
    await play.stage(id, capability(), staging);
    await play.stage(id, capability(), staging);
    expect(await mountAt(play.staging)).toMatchObject({ fsType: 'ext4' });
    await play.unstage(id, staging);
    expect(await mountAt(play.staging)).toBeUndefined();
  });

  test('a frozen filesystem is thawed before it is unmounted', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id);
    {
      await using root = await openForFreeze(play.staging);
      await freezeFilesystem(root.fd);
    }
    await play.unstage(id);
    expect(await play.backend.devices(id)).toEqual([]);
    await play.stage(id);
    await writeFile(`${play.staging}/file`, '');
  });

  test('an unstage while a file is open is refused, and succeeds later', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id);
    const user = await startChild(['sleep', '60'], { cwd: play.staging });
    await expect(play.unstage(id)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect((await stat(play.staging)).isDirectory()).toBe(true);
    user.kill('SIGKILL');
    await user.exited;
    await play.unstage(id);
  });

  test('a device that someone holds open is refused, and detached later', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    await play.stage(id, capability(block));
    const [device] = await play.backend.devices(id);
    {
      await using _user = await open(device?.path ?? '', 'r');
      await expect(play.unstage(id)).rejects.toMatchObject({ code: 'failed-precondition' });
      expect(await play.backend.devices(id)).toHaveLength(1);
    }
    await play.unstage(id);
    expect(await play.backend.devices(id)).toEqual([]);
  });
});
