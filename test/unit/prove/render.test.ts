import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, jest, test } from '@jest/globals';
import { demo } from '../../../src/prove/demo.ts';
import { planOf } from '../../../src/prove/options.ts';
import { renderProgress, renderReport } from '../../../src/prove/render.ts';
import { type ProveReport, type RoundReport, reportJson, reportOf, spreadOf } from '../../../src/prove/report.ts';
import { temporaryFolder } from '../support/rpc.ts';
import { FolderDriver } from './folder-driver.ts';

jest.setTimeout(60_000);

const ROUND: RoundReport = {
  round: 1,
  orders: { writer: { kind: 'forward', order: [0, 1] }, members: { kind: 'reversed', order: [1, 0] } },
  groupId: 'g',
  retries: [],
  callMs: 41.7,
  windowMs: 9.26,
  stallMs: { durable: 11.2, buffered: 8 },
  quietStallMs: { durable: 1, buffered: 1 },
  acknowledged: { durable: [5, 5], buffered: [9, 9] },
  found: { durable: [5, 5], buffered: [9, 9] },
  violations: { durable: [], buffered: [], filesystem: [] },
  unchecked: [],
  verifyMs: 200,
};

const BROKEN: RoundReport = {
  ...ROUND,
  round: 2,
  retries: ['busy'],
  violations: {
    durable: [{ kind: 'ahead', volume: 1, detail: 'has 6, but volume 1, written before it, has 5' }],
    buffered: [{ kind: 'lost', volume: 0, detail: 'has 3, but 9 was acknowledged before the call' }],
    filesystem: [],
  },
};

function report(
  rounds: readonly RoundReport[],
  changes: { bufferedCounts?: boolean; failure?: string } = {},
): ProveReport {
  const plan = planOf({
    endpoint: 'unix:///csi.sock',
    volumes: 2,
    rounds: 2,
    accessType: 'mount',
    workFolder: '/',
    seed: 7,
  });
  const histogram = Array.from({ length: 32 }, (_, bucket) => (bucket === 8 ? 99 : bucket === 13 ? 1 : 0));
  const { bufferedCounts = false, failure } = changes;
  return reportOf(plan, {
    driver: { name: 'some.driver', version: '1', constrained: true, attaches: false, groups: true },
    check: 'checked',
    bufferedCounts,
    rounds,
    writers: { durable: { mode: 'O_DIRECT|O_DSYNC', numbers: 50, histogram } },
    ...(failure !== undefined && { failure }),
    cleanupFailures: [],
    durationMs: 1,
  });
}

const plain = (text: string) => stripVTControlCharacters(text).split('\n');

test('a run without violations passes and shows its times', () => {
  const lines = plain(renderReport(report([ROUND, { ...ROUND, round: 2, callMs: 52 }])));
  expect(lines).toContain('Group snapshots of some.driver 1');
  expect(lines).toContain('2 mounted volumes of 64 MiB, seed 7; checked');
  expect(lines).toContain('call for the group snapshot            42 ms   42 ms   52 ms');
  expect(lines).toContain("fence, by the driver's evidence       9.3 ms  9.3 ms  9.3 ms");
  expect(lines).toContain('durable  O_DIRECT|O_DSYNC       50        < 0.5 ms  < 0.5 ms');
  expect(lines).toContain('PASSED  0 violations in 0 of 2 group snapshots');
});

test('violations fail a run and are listed; those of the buffered writer when they count', () => {
  const uncounted = report([ROUND, BROKEN]);
  expect(uncounted).toMatchObject({ passed: false, violations: 1, violatedRounds: 1 });
  const lines = plain(renderReport(uncounted));
  expect(lines).toContain('violation  durable writes  buffered writes (not counted)  filesystems');
  expect(lines).toContain('lost                    0                              1            0');
  expect(lines).toContain('  round 2, durable writes, ahead: volume 2 has 6, but volume 1, written before it, has 5');
  expect(lines).toContain('FAILED  1 violation in 1 of 2 group snapshots');
  expect(lines.join('\n')).not.toContain('buffered writes, lost');
  const counted = report([BROKEN, ROUND], { bufferedCounts: true });
  expect(counted.violations).toBe(2);
  expect(plain(renderReport(counted)).slice(-5, -2)).toEqual([
    '  round 2, durable writes, ahead: volume 2 has 6, but volume 1, written before it, has 5',
    '  round 2, buffered writes, lost: volume 1 has 3, but 9 was acknowledged before the call',
    '',
  ]);
});

test('what could not be checked fails a run, and is no violation', () => {
  const skipped: RoundReport = { ...ROUND, unchecked: [{ volume: 1, reason: 'e2fsck is not installed' }] };
  const incomplete = report([ROUND, { ...skipped, round: 2 }]);
  expect(incomplete).toMatchObject({ passed: false, violations: 0, violatedRounds: 0, unchecked: 1 });
  expect(JSON.parse(reportJson(incomplete))).toMatchObject({
    unchecked: 1,
    rounds: [{}, { unchecked: [{ volume: 1 }] }],
  });
  expect(plain(renderReport(incomplete)).slice(-4)).toEqual([
    'FAILED  0 violations in 0 of 2 group snapshots',
    '1 restored volume could not be checked:',
    '  round 2, volume 2: e2fsck is not installed',
    '',
  ]);
  expect(plain(renderProgress({ kind: 'round', report: skipped, of: 2, bufferedCounts: true }))[0]).toMatch(
    / {2}not checked 1$/,
  );
});

test('a run that ended early has not passed, however clean it is', () => {
  expect(report([ROUND]).passed).toBe(false);
  const ended = report([ROUND], { failure: 'no space' });
  expect(ended.passed).toBe(false);
  expect(plain(renderReport(ended))).toContain('ended after 1 of 2 rounds: no space');
});

test('each event is a line', () => {
  const line = (round: RoundReport) =>
    plain(renderProgress({ kind: 'round', report: round, of: 10, bufferedCounts: true }))[0];
  expect(line(ROUND)).toBe(
    '  round  1/10  written forward   named reversed  call   42 ms  window  9.3 ms  stall   11 ms  consistent',
  );
  expect(line(BROKEN)).toMatch(/retried 1x {2}VIOLATED lost 1, ahead 1$/);
  expect(plain(renderProgress({ kind: 'trouble', text: 'oh\n' }))).toEqual(['  ! oh', '']);
});

test('the report as JSON keeps 64-bit sizes as strings', () => {
  const parsed: unknown = JSON.parse(reportJson(report([ROUND])));
  expect(parsed).toMatchObject({ volumeBytes: '67108864', rounds: [{ callMs: 41.7 }], callMs: { median: 41.7 } });
});

test('a spread is of what was measured', () => {
  expect(spreadOf([])).toBeUndefined();
  expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
  expect(spreadOf([4, 1, 2, 3])).toEqual({ min: 1, median: 2, max: 4 });
});

test('the demonstration shows a row for every group snapshot, and says that a driver without a fence is broken', async () => {
  await using folder = await temporaryFolder();
  const workFolder = join(folder.path, 'work');
  await mkdir(workFolder);
  await using driver = await FolderDriver.start(folder.path, { pauseMs: 30 });
  let shown = '';
  const print = (text: string) => {
    shown += text;
  };
  const options = { endpoint: driver.endpoint, workFolder, rounds: 3, seed: 1 };
  expect(await demo(options, print, new AbortController().signal)).toBe(false);
  const lines = plain(shown);
  expect(lines.filter((line) => /^ {7}\d {2}\d, \d, \d .* BROKEN: volume \d has \d+, but /.test(line))).toHaveLength(3);
  expect(lines).toContain('3 of 3 group snapshots are BROKEN: the fence does not hold.');
  expect(await driver.leftovers()).toEqual([]);
});
