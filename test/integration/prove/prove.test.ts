/** The check against our own driver, on real volumes: it must hold with the fence, and fail without. */
import { mkdir, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { readMountTable } from '../../../src/host/mount-table.ts';
import type { ProveEvent } from '../../../src/prove/events.ts';
import type { ProveOptions } from '../../../src/prove/options.ts';
import { prove } from '../../../src/prove/prove.ts';
import type { ProveReport } from '../../../src/prove/report.ts';
import { Driver } from '../../support/driver.ts';
import { Scratch } from '../../support/scratch.ts';

jest.setTimeout(180_000);

let scratch: Scratch;
let driver: Driver;
/** A test that ran into its timeout leaves its run going: it must end before the driver does. */
const over = new AbortController();
const running = new Set<Promise<unknown>>();

beforeAll(async () => {
  scratch = await Scratch.open();
  await mkdir(scratch.path('work'));
  // Without a pause the cuts follow each other so closely that a missing fence may go unseen (reference: luck).
  const flags = ['--overcommit-ratio', '1000', '--failpoints', 'round.unfenced-pause=sleep:20'];
  driver = await Driver.start({ folder: scratch.path('driver'), poolSize: '8GiB', flags });
});

afterAll(async () => {
  over.abort();
  await Promise.allSettled(running);
  await driver[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

async function check(
  options: Partial<ProveOptions>,
  signal: AbortSignal = over.signal,
  seen: (event: ProveEvent) => void = () => undefined,
): Promise<ProveReport> {
  const given = { endpoint: driver.endpoint, volumes: 3, rounds: 9, accessType: 'mount' as const, seed: 11 };
  const all = { ...given, workFolder: scratch.path('work'), ...options };
  const run = prove(all, seen, AbortSignal.any([signal, over.signal]));
  running.add(run);
  const report = await run;
  expect(report.cleanupFailures).toEqual([]);
  expect(await readdir(scratch.path('work'))).toEqual([]);
  const work = `${scratch.path('work')}/`;
  expect((await readMountTable()).filter(({ mountPoint }) => mountPoint.startsWith(work))).toEqual([]);
  return report;
}

test.each(['ext4', 'xfs', 'btrfs'] as const)(
  '%s: every group snapshot under the fence is consistent',
  async (fsType) => {
    const report = await check({ fsType });
    expect(report.failure).toBeUndefined();
    expect(report.rounds.flatMap(({ violations }) => Object.values(violations).flat())).toEqual([]);
    expect(report).toMatchObject({ passed: true, bufferedCounts: true, violations: 0 });
    expect(report.check).toBe(`every restored ${fsType} is checked, read-only, before anything else mounts it`);
    expect(report.writers.durable).toMatchObject({ mode: 'O_DIRECT|O_DSYNC' });
  },
);

test('under a load of buffered writes too', async () => {
  const report = await check({ volumes: 6, loadBytesPerSecond: 50_000_000n });
  expect(report.rounds.flatMap(({ violations }) => Object.values(violations).flat())).toEqual([]);
  expect(report.passed).toBe(true);
});

test('without the fence the check fails, by the durable writes alone', async () => {
  const report = await check({ noFence: true, countBuffered: false });
  expect(report).toMatchObject({ passed: false, noFence: true });
  expect(report.failure).toBeUndefined();
  expect(report.violatedRounds).toBeGreaterThan(report.rounds.length / 2);
});

test('without the fence, what the page cache held is lost', async () => {
  const report = await check({ noFence: true, rounds: 2 });
  expect(report.violationsByKind.buffered.lost).toBeGreaterThan(0);
});

test('raw block volumes: the refusal is told, nothing is left', async () => {
  const report = await check({ accessType: 'block' });
  expect(report).toMatchObject({ passed: false, rounds: [] });
  expect(report.failure).toMatch(/raw block/);
});

test('a run that is cancelled leaves nothing', async () => {
  const stop = new AbortController();
  const report = await check({ rounds: 1000 }, stop.signal, (event) => {
    // In the middle of the next round.
    if (event.kind === 'round') void sleep(60).then(() => stop.abort());
  });
  expect(report.failure).toBe('cancelled');
  expect(report.rounds.length).toBeGreaterThan(0);
});
