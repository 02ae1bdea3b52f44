import { mkdir, open, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { makeFilesystem } from '../../../src/host/filesystem.ts';
import { bindMount, mount, unmount } from '../../../src/host/mount.ts';
import { mountAt, mountsOfDevice, parseMountTable, readMountTable } from '../../../src/host/mount-table.ts';
import { Playground } from './playground.ts';

describe('the mount table', () => {
  test('decodes spaces, tabs, newlines, backslashes and UTF-8 in paths', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', 32n * MiB);
    await makeFilesystem(path, 'ext4', {});
    const names = ['with space', 'tab\there', 'new\nline', 'back\\slash', 'ümlaut-ж', '\\040', '#hash'];
    for (const name of names) {
      await mkdir(play.path(name));
      await mount({ source: path, target: play.path(name), fsType: 'ext4', options: [] });
      expect(await mountAt(play.path(name))).toMatchObject({
        mountPoint: play.path(name),
        source: path,
        fsType: 'ext4',
      });
    }
    for (const name of names) await unmount(play.path(name));
    expect((await readMountTable()).filter(({ mountPoint }) => mountPoint.startsWith(play.folder))).toEqual([]);
  });

  test.each(FS_TYPES)('knows the mounts of a device: %s', async (fsType) => {
    await using play = await Playground.open();
    const { devNumber, root } = await play.filesystem('fs', fsType, 320n * MiB);
    await mkdir(play.path('bound'));
    await bindMount(root, play.path('bound'), { readOnly: false });
    const points = (await mountsOfDevice(devNumber)).map(({ mountPoint }) => mountPoint);
    expect(new Set(points)).toEqual(new Set([play.path('bound'), root]));
    expect(await mountsOfDevice('7:999')).toEqual([]);
  });

  test('reads optional fields of any number', () => {
    const line = (optional: string) =>
      `36 35 98:0 /mnt1 /mnt2 rw,noatime ${optional}- ext3 /dev/root rw,errors=continue\n`;
    for (const [optional, peerGroup] of [
      ['', undefined],
      ['shared:3 ', 3],
      ['master:1 ', 1],
      ['shared:2 master:1 propagate_from:4 ', 1],
    ] as const) {
      expect(parseMountTable(line(optional))).toEqual([
        {
          mountId: 36,
          parentId: 35,
          devNumber: '98:0',
          root: '/mnt1',
          mountPoint: '/mnt2',
          options: ['rw', 'noatime'],
          ...(peerGroup !== undefined && { peerGroup }),
          fsType: 'ext3',
          source: '/dev/root',
          superOptions: ['rw', 'errors=continue'],
        },
      ]);
    }
  });
});

describe('mounting', () => {
  test('honours options, and says what is wrong with them', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', 32n * MiB);
    await makeFilesystem(path, 'ext4', {});
    await mkdir(play.path('fs'));
    const request = { source: path, target: play.path('fs'), fsType: 'ext4' };
    await expect(mount({ ...request, options: ['password=secret'] })).rejects.toMatchObject({
      name: 'CommandError',
      exitCode: 32,
      message: expect.not.stringContaining('secret'),
      argv: expect.not.arrayContaining(['password=secret']),
    });
    await mount({ ...request, options: ['noatime', 'nodev', 'data=journal'] });
    const entry = await mountAt(play.path('fs'));
    expect(entry?.options).toEqual(expect.arrayContaining(['noatime', 'nodev']));
    expect(entry?.superOptions).toContain('data=journal');
  });

  test('binds read-only, keeping the other flags', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', 32n * MiB);
    await makeFilesystem(path, 'ext4', {});
    await mkdir(play.path('fs'));
    await mkdir(play.path('bound'));
    await mount({ source: path, target: play.path('fs'), fsType: 'ext4', options: ['noatime', 'nosuid', 'noexec'] });
    await bindMount(play.path('fs'), play.path('bound'), { readOnly: true });
    expect(new Set((await mountAt(play.path('bound')))?.options)).toEqual(
      new Set(['noatime', 'noexec', 'nosuid', 'ro']),
    );
    await expect(writeFile(play.path('bound', 'file'), '')).rejects.toMatchObject({ code: 'EROFS' });
    await writeFile(play.path('fs', 'file'), 'text');
    expect(await readFile(play.path('bound', 'file'), 'utf8')).toBe('text');
  });

  test('binds neither from nor onto a symbolic link', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('fs', 'ext4', 32n * MiB);
    await mkdir(play.path('target'));
    await symlink(play.path('target'), play.path('link'));
    await expect(bindMount(root, play.path('link'), { readOnly: false })).rejects.toThrow();
    await expect(bindMount(play.path('link'), play.path('target'), { readOnly: false })).rejects.toThrow();
    expect(await mountAt(play.path('target'))).toBeUndefined();
  });

  test('binds a device node onto a file', async () => {
    await using play = await Playground.open();
    const { path } = await play.loop('image', MiB);
    await writeFile(play.path('device'), '');
    await bindMount(path, play.path('device'), { readOnly: false });
    expect((await stat(play.path('device'))).isBlockDevice()).toBe(true);
    await unmount(play.path('device'));
    expect((await stat(play.path('device'))).isFile()).toBe(true);
  });
});

describe('unmounting', () => {
  test('takes all that is stacked; nothing, or no such path, succeeds', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('fs', 'ext4', 32n * MiB);
    await mkdir(play.path('target'));
    for (let index = 0; index < 3; index++) await bindMount(root, play.path('target'), { readOnly: false });
    await unmount(play.path('target'));
    expect(await mountAt(play.path('target'))).toBeUndefined();
    await unmount(play.path('target'));
    await unmount(play.path('never was'));
  });

  test('does not follow a symbolic link', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('fs', 'ext4', 32n * MiB);
    await symlink(root, play.path('link'));
    await unmount(play.path('link'));
    expect(await mountAt(root)).toBeDefined();
  });

  test('is refused while a file is open', async () => {
    await using play = await Playground.open();
    const { root } = await play.filesystem('fs', 'ext4', 32n * MiB);
    {
      await using _file = await open(`${root}/file`, 'w');
      await expect(unmount(root)).rejects.toMatchObject({ code: 'failed-precondition' });
    }
    await unmount(root);
  });
});
