/** The promise, checked as a stranger would: by the command line, on a pool of its own. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from '../support/command.ts';

/** The part of `prove --json` that is looked at here. */
interface Report {
  readonly passed: boolean;
  readonly failure?: string;
  readonly noFence: boolean;
  readonly seed: number;
  readonly rounds: readonly unknown[];
  readonly violations: number;
  readonly violationsByKind: { readonly durable: Readonly<Record<string, number>> };
  readonly cleanupFailures: readonly string[];
}

function prove(...flags: string[]): { readonly code: number | null; readonly report: Report } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(ROOT, 'src/main.ts'), 'prove', '--json', ...flags],
    { cwd: ROOT, encoding: 'utf8', maxBuffer: 256 << 20 },
  );
  try {
    return { code: status, report: JSON.parse(stdout) as Report };
  } catch (cause) {
    throw new Error(`prove printed no report:\n${stderr}`, { cause });
  }
}

test.each([
  { volumes: 3, rounds: 30, fsType: 'ext4', load: '20MiB' },
  { volumes: 16, rounds: 8, fsType: 'ext4', load: '20MiB' },
  { volumes: 4, rounds: 10, fsType: 'xfs', load: '20MiB' },
])('$rounds group snapshots of $volumes $fsType volumes under load hold', ({ volumes, rounds, fsType, load }) => {
  const numbers = ['--volumes', String(volumes), '--rounds', String(rounds)];
  const { code, report } = prove(...numbers, '--fs-type', fsType, '--load', load);
  expect({ ...report, rounds: report.rounds.length }).toMatchObject({
    passed: true,
    noFence: false,
    violations: 0,
    cleanupFailures: [],
    rounds,
  });
  expect(code).toBe(0);
});

test('without the fence they do not: the checker can see a violation', () => {
  const { code, report } = prove('--volumes', '4', '--rounds', '40', '--no-fence');
  expect(report).toMatchObject({ passed: false, noFence: true, cleanupFailures: [] });
  expect(report.rounds).toHaveLength(40);
  // Of the writes that were durable before the call started; buffered ones may be lost without the fence anyway.
  const { durable } = report.violationsByKind;
  expect(Object.values(durable).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  expect(code).toBe(1);
});
