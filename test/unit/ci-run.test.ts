/** `.ci/run` in a checkout whose commands only say how they end: its last line is counted by others. */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from '../support/command.ts';
import { temporaryFolder } from './support/rpc.ts';

test.each([
  {
    what: 'tests pass',
    packages: 'exit 0',
    npm: 'echo "3 passed, 0 failed, 1 skipped"; echo bye',
    line: '3 passed, 0 failed, 1 skipped',
    code: 0,
  },
  {
    what: 'tests fail',
    packages: 'exit 0',
    npm: 'echo "3 passed, 2 failed, 1 skipped"; [ $1 = ci ]',
    line: '3 passed, 2 failed, 1 skipped',
    code: 1,
  },
  { what: 'the runner breaks', packages: 'exit 0', npm: '[ $1 = ci ]', line: '0 passed, 1 failed, 0 skipped', code: 1 },
  { what: 'the runner says nothing', packages: 'exit 0', npm: ':', line: '0 passed, 1 failed, 0 skipped', code: 1 },
  { what: 'npm ci fails', packages: 'exit 0', npm: 'exit 7', line: '0 passed, 1 failed, 0 skipped', code: 7 },
  { what: 'a package is missing', packages: 'exit 5', npm: ':', line: '0 passed, 1 failed, 0 skipped', code: 5 },
])('it ends with one line of counts when $what', async ({ packages, npm, line, code }) => {
  await using folder = await temporaryFolder();
  const script = path.join(folder.path, '.ci/run');
  await cp(path.join(ROOT, '.ci/run'), script, { recursive: true });
  await mkdir(path.join(folder.path, 'tools'));
  const programs = { 'tools/ensure-packages.sh': packages, npm };
  for (const [name, text] of Object.entries(programs))
    await writeFile(path.join(folder.path, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const { stdout, status } = spawnSync(script, {
    encoding: 'utf8',
    env: { PATH: `${folder.path}:${process.env.PATH}`, TMPDIR: folder.path },
  });
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(line);
  expect(status).toBe(code);
});
