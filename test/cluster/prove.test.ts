import { expect, test } from '@jest/globals';
import { durableViolations, runProve } from '../support/prove-command.ts';
import { expectToHold, expectToHoldFarAway, NODES } from './proofs.ts';

test('24 group snapshots over three nodes under load hold', () => {
  expectToHold(24);
});

test('without the barrier between nodes they do not, although every node has its fence', () => {
  const { code, report } = runProve('--nodes', '3', '--rounds', '9', '--no-barrier');
  expect(report).toMatchObject({ passed: false, noFence: false, noBarrier: true, nodes: NODES, cleanupFailures: [] });
  expect(report.rounds).toHaveLength(9);
  expect(durableViolations(report)).toBeGreaterThan(0);
  expect(code).toBe(1);
});

test.each([5, 50])('with %i ms more each way between controller and agents they hold', async (delayMs) => {
  await expectToHoldFarAway(delayMs, 6);
});
