/** The promise over three nodes: a writer's order holds across them, however long the way between them is. */
import { expect, test } from '@jest/globals';
import { prove } from '../../src/prove/prove.ts';
import { Cluster } from '../support/cluster.ts';
import { durableViolations, runProve } from '../support/prove-command.ts';

const NODES = ['node-1', 'node-2', 'node-3'];

test('24 group snapshots over three nodes under load hold, by the command line', () => {
  const { code, report } = runProve('--nodes', '3', '--volumes', '6', '--rounds', '24', '--load', '20MiB');
  const expected = { passed: true, nodes: NODES, violations: 0, cleanupFailures: [] };
  expect(report).toMatchObject(expected);
  expect(report.rounds).toHaveLength(24);
  expect(Object.keys(report.nodeWindowsMs)).toEqual(NODES);
  expect(code).toBe(0);
});

test('without the barrier between nodes they do not, although every node has its fence', () => {
  const { code, report } = runProve('--nodes', '3', '--rounds', '9', '--no-barrier');
  expect(report).toMatchObject({ passed: false, noFence: false, noBarrier: true, nodes: NODES, cleanupFailures: [] });
  expect(report.rounds).toHaveLength(9);
  expect(durableViolations(report)).toBeGreaterThan(0);
  expect(code).toBe(1);
});

test.each([
  { delayMs: 5, rounds: 6 },
  { delayMs: 50, rounds: 6 },
])('with $delayMs ms more each way between controller and agents they hold', async ({ delayMs, rounds }) => {
  await using cluster = await Cluster.start({ delayMs });
  const { endpoint, nodes, workFolder, windowsOf } = cluster.running;
  const target = { endpoint, nodes, workFolder, windowsOf };
  const options = { ...target, volumes: 6, rounds, accessType: 'mount' as const, loadBytesPerSecond: 20_000_000n };
  const report = await prove(options, () => undefined, new AbortController().signal);
  expect(report.failure).toBeUndefined();
  expect(report.rounds.flatMap(({ violations }) => Object.values(violations).flat())).toEqual([]);
  expect(report).toMatchObject({ passed: true, cleanupFailures: [] });
  // There and back once, while all are frozen: else nothing was in between.
  expect(report.windowMs?.min).toBeGreaterThan(2 * delayMs);
});
