/** The promise, checked as a stranger would: by the command line, on a pool of its own. */
import { expect, test } from '@jest/globals';
import { durableViolations, runProve } from '../support/prove-command.ts';

test.each([
  { volumes: 3, rounds: 30, fsType: 'ext4', load: '20MiB' },
  { volumes: 16, rounds: 8, fsType: 'ext4', load: '20MiB' },
  { volumes: 4, rounds: 10, fsType: 'xfs', load: '20MiB' },
])('$rounds group snapshots of $volumes $fsType volumes under load hold', ({ volumes, rounds, fsType, load }) => {
  const numbers = ['--volumes', String(volumes), '--rounds', String(rounds)];
  const { code, report } = runProve(...numbers, '--fs-type', fsType, '--load', load);
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
  const { code, report } = runProve('--volumes', '4', '--rounds', '40', '--no-fence');
  expect(report).toMatchObject({ passed: false, noFence: true, cleanupFailures: [] });
  expect(report.rounds).toHaveLength(40);
  expect(durableViolations(report)).toBeGreaterThan(0);
  expect(code).toBe(1);
});
