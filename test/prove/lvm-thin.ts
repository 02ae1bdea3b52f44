/** The promise on LVM. Runs where there is device-mapper: see test/vm/lvm.ts. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ROOT } from '../support/command.ts';
import { Driver } from '../support/driver.ts';
import { GROUP } from '../vm/ground.ts';

interface Report {
  readonly passed: boolean;
  readonly failure?: string;
  readonly rounds: readonly { readonly windowMs?: number }[];
  readonly violations: number;
  readonly cleanupFailures: readonly string[];
}

let folder: string;
let driver: Driver;

beforeAll(async () => {
  folder = await mkdtemp('/var/tmp/prove-');
  driver = await Driver.start({
    folder,
    poolSize: '8GiB',
    flags: ['--backend', 'lvm-thin', '--volume-group', GROUP, '--thin-pool', 'prove', '--overcommit-ratio', '1000'],
  });
});

afterAll(async () => {
  expect(await driver.stop()).toBe(0);
  await rm(folder, { recursive: true });
});

test.each([
  { volumes: 3, rounds: 50, access: 'mount' },
  { volumes: 8, rounds: 50, access: 'block' },
  { volumes: 16, rounds: 50, access: 'mount' },
])('$rounds group snapshots of $volumes volumes ($access) hold', async ({ volumes, rounds, access }) => {
  const numbers = ['--volumes', String(volumes), '--rounds', String(rounds), '--access', access];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(ROOT, 'src/main.ts'), 'prove', '--json', '--driver', driver.endpoint, ...numbers],
    { cwd: ROOT, encoding: 'utf8', maxBuffer: 256 << 20 },
  );
  if (!stdout.startsWith('{')) throw new Error(`prove printed no report:\n${stderr}\n${await driver.log()}`);
  const report = JSON.parse(stdout) as Report;
  const { rounds: taken, ...rest } = report;
  expect({ ...rest, taken: taken.length }).toMatchObject({
    passed: true,
    violations: 0,
    cleanupFailures: [],
    taken: rounds,
  });
  expect(status).toBe(0);
});
