/** A benchmark that is ended before its end leaves nothing behind, or the next one removes it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { exists } from '../../../src/host/exists.ts';
import { listLoops } from '../../../src/host/loop.ts';
import { readMountTable } from '../../../src/host/mount-table.ts';
import { ROOT } from '../../support/command.ts';
import { eventually } from '../../support/scratch.ts';

const PARENT = '/var/tmp';
const START_MS = 300_000;

/** As a person starts it: npm, and below it the program, in one process group. */
function startBench(): ChildProcess {
  const argv = ['run', 'bench', '--', 'size', '--repetitions', '1000'];
  return spawn('npm', argv, { cwd: ROOT, stdio: 'ignore', detached: true });
}

/** The folder of a run of this process group, once something is mounted in it. */
async function folderOf(group: number): Promise<string> {
  let folder = '';
  await eventually(
    'the benchmark has a pool',
    async () => {
      for (const name of await readdir(PARENT)) {
        if (!name.startsWith('cofferdam-bench-')) continue;
        const pid = await readFile(path.join(PARENT, name, 'owner'), 'utf8').catch(() => '');
        const stat = await readFile(`/proc/${pid.trim()}/stat`, 'utf8').catch(() => '');
        // After the command: state, parent, process group.
        if (Number(stat.replace(/^.*\) /s, '').split(' ')[2]) === group) folder = path.join(PARENT, name);
      }
      return folder !== '' && (await mountsBelow(folder)).length > 0;
    },
    START_MS,
  );
  return folder;
}

async function mountsBelow(folder: string): Promise<readonly string[]> {
  return (await readMountTable()).map(({ mountPoint }) => mountPoint).filter((place) => place.startsWith(`${folder}/`));
}

async function expectNothingOf(folder: string): Promise<void> {
  expect(await mountsBelow(folder)).toEqual([]);
  expect((await listLoops()).filter(({ backingPath }) => backingPath.startsWith(`${folder}/`))).toEqual([]);
  expect(await exists(folder)).toBe(false);
}

test.each([
  ['SIGTERM, to npm', (group: number) => process.kill(group, 'SIGTERM')],
  ['a ^C, to everything', (group: number) => process.kill(-group, 'SIGINT')],
])('%s', async (_, interrupt) => {
  const npm = startBench();
  const exit = once(npm, 'exit');
  const folder = await folderOf(npm.pid ?? 0);
  interrupt(npm.pid ?? 0);
  await exit;
  await expectNothingOf(folder);
});

test('killed outright, its remains go with the next run', async () => {
  const first = startBench();
  const killed = once(first, 'exit');
  const folder = await folderOf(first.pid ?? 0);
  process.kill(-(first.pid ?? 0), 'SIGKILL');
  await killed;
  expect(await exists(folder)).toBe(true);
  const second = startBench();
  const exit = once(second, 'exit');
  const other = await folderOf(second.pid ?? 0);
  await expectNothingOf(folder);
  process.kill(second.pid ?? 0, 'SIGTERM');
  await exit;
  await expectNothingOf(other);
});
