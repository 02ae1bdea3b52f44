import { once } from 'node:events';
import { chmod, chown, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import { run } from '../../../src/host/exec.ts';
import { freezeFilesystem, openForFreeze, thawFilesystem } from '../../../src/host/freeze.ts';
import { applyMountGroup } from '../../../src/mounts/mount-group.ts';
import { eventually } from '../../support/scratch.ts';
import { capability, live, NodePlayground } from './node-playground.ts';

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
  const found = (name: string) => modeAndGroup(`${play.staging}/${name}`);
  expect(await found('.')).toEqual([GROUP, '2775']);
  expect(await found('folder/deep')).toEqual([GROUP, '2770']);
  expect(await found('folder/deep/file')).toEqual([GROUP, '660']);
  expect(await found('program')).toEqual([GROUP, '4775']);
  expect((await stat(`${play.staging}/program`)).uid).toBe(1000);
  expect(await found('pipe')).toEqual([GROUP, '600']);
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

test('a tree that was half given to another group is not taken for whole', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id, asked);
  const names = Array.from({ length: 50 }, (_, i) => `${play.staging}/file-${i}`);
  for (const name of names) await writeFile(name, 'text');
  const [immutable = ''] = names;
  await run(['chattr', '+i', immutable]);
  const other = capability({ kind: 'mount', mountFlags: [], mountGroup: GROUP + 1 });
  await expect(play.stage(id, other)).rejects.toMatchObject({ code: 'EPERM' });
  await run(['chattr', '-i', immutable]);
  await play.stage(id, asked);
  for (const name of names) expect(await modeAndGroup(name)).toEqual([GROUP, '664']);
});

test('a caller who goes away ends the walk, and the next one finishes it', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  await writeFile(`${play.staging}/file`, 'text');
  await using folder = await openForFreeze(play.staging);
  const caller = new AbortController();
  await freezeFilesystem(folder.fd);
  const walk = applyMountGroup(play.staging, GROUP, caller.signal);
  await eventually('the walk hangs in its first change', async () => (await threadStates()).includes('D'));
  caller.abort();
  await thawFilesystem(folder.fd);
  await expect(walk).rejects.toMatchObject({ code: 'cancelled' });
  for (const name of ['.', 'file']) expect((await stat(`${play.staging}/${name}`)).gid).toBe(0);
  await play.stage(id, asked);
  expect((await stat(`${play.staging}/file`)).gid).toBe(GROUP);
});

test('however deep a tree is, few descriptors are open', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  // Each level with a folder beside the way down, that is come back to; and longer than any path may be.
  const script = `
    const fs = require('node:fs');
    process.chdir(process.argv[1]);
    for (let i = 0; i < 1500; i++) {
      fs.mkdirSync('beside-the-way');
      fs.mkdirSync('way-down');
      process.chdir('way-down');
    }
    fs.writeFileSync('file', '');`;
  await run([process.execPath, '-e', script, play.staging]);
  const openNow = async () => (await readdir('/proc/self/fd')).length;
  const before = await openNow();
  let [most, going] = [before, true];
  const watched = (async () => {
    for (; going; await turn()) most = Math.max(most, await openNow());
  })();
  await applyMountGroup(play.staging, GROUP, live);
  going = false;
  await watched;
  // Those of the walk, of its thread and of this watch.
  expect(most - before).toBeLessThan(100);
  const { stdout } = await run(['find', play.staging, '-not', '-group', String(GROUP)]);
  expect(stdout).toBe('');
});

test('a folder that is swapped for a link leads nowhere', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  // On the same filesystem, or that alone would keep the walk out.
  const [root, outside] = [`${play.staging}/root`, `${play.staging}/outside`];
  await mkdir(`${outside}/folder`, { recursive: true });
  await writeFile(`${outside}/file`, 'text');
  const count = 200;
  for (let i = 0; i < count; i++) {
    await mkdir(`${root}/folder-${i}/folder`, { recursive: true });
    await symlink(outside, `${root}/link-${i}`);
  }
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const script = `
    const { renameSync } = require('node:fs');
    const { stop, root, count } = require('node:worker_threads').workerData;
    const swap = (i, a, b) => {
      renameSync(root + '/folder-' + i, root + '/' + a + i);
      renameSync(root + '/' + b + i, root + '/folder-' + i);
    };
    while (Atomics.load(stop, 0) === 0) {
      for (let i = 0; i < count; i++) swap(i, 'kept-', 'link-');
      for (let i = 0; i < count; i++) swap(i, 'link-', 'kept-');
    }`;
  const swapping = new Worker(script, { eval: true, workerData: { stop, root, count } });
  const ended = once(swapping, 'exit');
  // Each time another group, so that all is walked.
  for (let round = 1; round <= 10; round++) await applyMountGroup(root, GROUP + round, live);
  Atomics.store(stop, 0, 1);
  await ended;
  for (const name of ['.', 'folder', 'file']) expect((await stat(`${outside}/${name}`)).gid).toBe(0);
  await applyMountGroup(root, GROUP, live);
  expect((await stat(`${root}/folder-0/folder`)).gid).toBe(GROUP);
});

async function threadStates(): Promise<readonly string[]> {
  const tasks = await readdir('/proc/self/task');
  const lines = await Promise.all(
    tasks.map((task) => readFile(`/proc/self/task/${task}/stat`, 'utf8').catch(() => '')),
  );
  return lines.map((line) => line.slice(line.lastIndexOf(')') + 2).charAt(0));
}

async function modeAndGroup(path: string): Promise<readonly [number, string]> {
  const { gid, mode } = await lstat(path);
  return [gid, (mode & 0o7777).toString(8)];
}
