/** The promise over three nodes: a writer's order holds across them, however long the way between them is. */
import { expect } from '@jest/globals';
import { prove } from '../../src/prove/prove.ts';
import { Cluster } from '../support/cluster.ts';
import { runProve } from '../support/prove-command.ts';

export const NODES = ['node-1', 'node-2', 'node-3'];
const LOAD_BYTES_PER_SECOND = 20_000_000n;

/** Group snapshots over three nodes under load, by the command line. @returns their windows, as `prove` tells of them */
export function expectToHold(rounds: number): string {
  const load = ['--load', String(LOAD_BYTES_PER_SECOND)];
  const { code, report } = runProve('--nodes', '3', '--volumes', '6', '--rounds', String(rounds), ...load);
  const expected = { passed: true, nodes: NODES, violations: 0, cleanupFailures: [] };
  expect(report).toMatchObject(expected);
  expect(report.rounds).toHaveLength(rounds);
  expect(Object.keys(report.nodeWindowsMs)).toEqual(NODES);
  expect(code).toBe(0);
  return JSON.stringify({ windowMs: report.windowMs, nodes: report.nodeWindowsMs });
}

/** The same, with so much added each way between the controller and the agents. */
export async function expectToHoldFarAway(delayMs: number, rounds: number): Promise<string> {
  await using cluster = await Cluster.start({ delayMs });
  const { endpoint, nodes, workFolder, windowsOf } = cluster.running;
  const report = await prove(
    {
      ...{ endpoint, nodes, workFolder, windowsOf, rounds },
      ...{ volumes: 6, accessType: 'mount', loadBytesPerSecond: LOAD_BYTES_PER_SECOND },
    },
    () => undefined,
    new AbortController().signal,
  );
  expect(report.failure).toBeUndefined();
  expect(report.rounds.flatMap(({ violations }) => Object.values(violations).flat())).toEqual([]);
  expect(report).toMatchObject({ passed: true, cleanupFailures: [] });
  expect(report.rounds).toHaveLength(rounds);
  // There and back once, while all are frozen: else nothing was in between.
  expect(report.windowMs?.min).toBeGreaterThan(2 * delayMs);
  return JSON.stringify({ windowMs: report.windowMs });
}
