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
  readonly rounds: readonly unknown[];
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

/** Fewer for a quick look. */
const ROUNDS = Number(process.env.PROVE_ROUNDS ?? 50);
/** To restore, check and delete one member of one round; emulated, on a machine that others use too. */
const MEMBER_LIMIT_MS = 60_000;

const CASES = [
  { volumes: 3, rounds: ROUNDS, access: 'mount' },
  { volumes: 8, rounds: ROUNDS, access: 'block' },
  { volumes: 16, rounds: ROUNDS, access: 'mount' },
] as const;
const MOST_VOLUMES = Math.max(...CASES.map(({ volumes }) => volumes));

test.each(CASES)(
  '$rounds group snapshots of $volumes volumes ($access) hold',
  async ({ volumes, rounds, access }) => {
    const numbers = ['--volumes', String(volumes), '--rounds', String(rounds), '--access', access];
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      [path.join(ROOT, 'src/main.ts'), 'prove', '--json', '--driver', driver.endpoint, ...numbers],
      { cwd: ROOT, encoding: 'utf8', maxBuffer: 256 << 20 },
    );
    if (!stdout.startsWith('{'))
      throw new Error(
        `prove printed no report (${signal ?? `exit code ${status}`}):\n${stderr}\n${await driver.log()}`,
      );
    const report = JSON.parse(stdout) as Report;
    const { rounds: taken, ...rest } = report;
    const windows = (await windowsMs()).slice(-taken.length).toSorted((a, b) => a - b);
    const median = windows[Math.floor(windows.length / 2)] ?? 0;
    console.log(
      `windows of ${volumes} (${access}): median ${Math.round(median)}, most ${Math.round(windows.at(-1) ?? 0)} ms`,
    );
    expect({ ...rest, taken: taken.length }).toMatchObject({
      passed: true,
      violations: 0,
      cleanupFailures: [],
      taken: rounds,
    });
    expect(status).toBe(0);
  },
  ROUNDS * MOST_VOLUMES * MEMBER_LIMIT_MS,
);

/** Of every group snapshot until now, from the driver's log. */
async function windowsMs(): Promise<readonly number[]> {
  const rounds = (await driver.log()).split('\n').filter((line) => line.includes('"round committed"'));
  return rounds.map((line) => (JSON.parse(line) as { readonly windowMs: number }).windowMs);
}
