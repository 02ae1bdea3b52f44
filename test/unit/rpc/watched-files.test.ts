import { execFileSync } from 'node:child_process';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { WatchedFiles } from '../../../src/rpc/watched-files.ts';
import { MemoryLogger, temporaryFolder } from '../support/rpc.ts';

const LOOK_MS = 10;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test('what was seen once may be half of it, and is not taken', async () => {
  await using folder = await temporaryFolder();
  const pipe = path.join(folder.path, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const parsed: string[] = [];
  const parse = ([content]: readonly Buffer[]) => {
    parsed.push(String(content));
    return String(content);
  };
  // Through a pipe, every look sees what is written for it.
  const opening = WatchedFiles.open([pipe], parse, new MemoryLogger(), LOOK_MS);
  await writeFile(pipe, 'start');
  using file = await opening;
  for (const once of ['a', 'b', 'c', 'd']) {
    await writeFile(pipe, once);
    await sleep(20 * LOOK_MS);
  }
  while (file.value === 'start') {
    await writeFile(pipe, 'end');
    await sleep(20 * LOOK_MS);
  }
  expect(parsed).toEqual(['start', 'end']);
  file[Symbol.dispose]();
  // The look that is under way.
  await writeFile(pipe, 'end');
});

test.each([
  ['written in place', (file: string) => writeFile(file, 'new')],
  [
    'replaced by another',
    async (file: string) => {
      await writeFile(`${file}.new`, 'new');
      await rename(`${file}.new`, file);
    },
  ],
])('a file that is %s is read again, and whoever wants hears of it', async (_how, change) => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'file');
  await writeFile(file, 'old');
  const logger = new MemoryLogger();
  using watched = await WatchedFiles.open([file], ([content]) => String(content), logger, LOOK_MS);
  const heard: string[] = [];
  const listening = watched.onChange(() => heard.push(watched.value));
  expect(watched.value).toBe('old');
  await change(file);
  await until(() => heard.length > 0);
  expect(heard).toEqual(['new']);
  listening[Symbol.dispose]();
  await writeFile(file, 'newer');
  await until(() => watched.value === 'newer');
  expect(heard).toEqual(['new']);
  expect(logger.lines.map(({ level }) => level)).toEqual(['info', 'info']);
});

test('one that is gone is complained of once, and what it said holds', async () => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'file');
  await writeFile(file, 'old');
  const logger = new MemoryLogger();
  using watched = await WatchedFiles.open([file], ([content]) => String(content), logger, LOOK_MS);
  await rm(file);
  await until(() => logger.lines.length > 0);
  await sleep(20 * LOOK_MS);
  expect(logger.lines).toMatchObject([{ level: 'warn', fields: { err: { code: 'ENOENT' } } }]);
  expect(watched.value).toBe('old');
  await writeFile(file, 'back');
  await until(() => watched.value === 'back');
});
