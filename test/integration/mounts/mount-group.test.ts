import { chmod, chown, lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { run } from '../../../src/host/exec.ts';
import { capability, NodePlayground } from './node-playground.ts';

const GROUP = 4711;
const asked = capability({ kind: 'mount', mountFlags: [], mountGroup: GROUP });

test('the group gets the whole tree, and folders hand it on', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  await mkdir(`${play.staging}/folder/deep`, { recursive: true, mode: 0o700 });
  await writeFile(`${play.staging}/folder/deep/file`, 'text', { mode: 0o600 });
  await writeFile(`${play.staging}/program`, 'text');
  await chown(`${play.staging}/program`, 1000, 1000);
  await chmod(`${play.staging}/program`, 0o4755);
  await run(['mkfifo', '-m', '600', `${play.staging}/pipe`]);
  await writeFile(play.path('outside'), 'text', { mode: 0o600 });
  await symlink(play.path('outside'), `${play.staging}/link`);
  await play.unstage(id);

  await play.stage(id, asked);
  const modeAndGroup = async (name: string) => {
    const { gid, mode } = await lstat(`${play.staging}/${name}`);
    return [gid, (mode & 0o7777).toString(8)];
  };
  expect(await modeAndGroup('.')).toEqual([GROUP, '2775']);
  expect(await modeAndGroup('folder/deep')).toEqual([GROUP, '2770']);
  expect(await modeAndGroup('folder/deep/file')).toEqual([GROUP, '660']);
  expect(await modeAndGroup('program')).toEqual([GROUP, '4775']);
  expect((await stat(`${play.staging}/program`)).uid).toBe(1000);
  expect(await modeAndGroup('pipe')).toEqual([GROUP, '600']);
  expect((await lstat(`${play.staging}/link`)).gid).toBe(GROUP);
  expect((await stat(play.path('outside'))).gid).toBe(0);
  expect((await stat(play.path('outside'))).mode & 0o777).toBe(0o600);
});

test('a tree that has its group already is not walked again', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id, asked);
  await writeFile(`${play.staging}/file`, 'text', { mode: 0o600 });
  expect((await stat(`${play.staging}/file`)).gid).toBe(GROUP);
  await chown(`${play.staging}/file`, 0, 0);
  await play.stage(id, asked);
  await play.publish(id, 'target', { capability: asked });
  expect((await stat(`${play.staging}/file`)).gid).toBe(0);

  // Another group, or an interrupted run, which leaves the root for last.
  await chown(play.staging, 0, 0);
  await play.publish(id, 'target', { capability: asked });
  expect((await stat(`${play.staging}/file`)).gid).toBe(GROUP);
});

test('a volume that is read only is not changed', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id, { ...asked, mode: 'SINGLE_NODE_READER_ONLY' });
  await play.publish(id, 'target', { capability: { ...asked, mode: 'SINGLE_NODE_READER_ONLY' }, readOnly: true });
  expect((await stat(play.staging)).gid).toBe(0);
});

test('ten thousand files are done, deep ones too', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  const deep = Array.from({ length: 100 }, (_, index) => `d${index}`).join('/');
  await mkdir(`${play.staging}/${deep}`, { recursive: true });
  const script = 'cd "$1" && seq -f "file-%g" 10000 | xargs touch';
  await run(['sh', '-c', script, 'sh', play.staging]);
  await writeFile(`${play.staging}/${deep}/file`, 'deep');
  await play.publish(id, 'target', { capability: asked });
  expect((await stat(`${play.staging}/file-9999`)).gid).toBe(GROUP);
  expect((await stat(`${play.staging}/${deep}/file`)).gid).toBe(GROUP);
  expect(await readFile(`${play.staging}/${deep}/file`, 'utf8')).toBe('deep');
});
