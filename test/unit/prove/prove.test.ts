import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { DriverError, type ErrorCode } from '../../../src/core/errors.ts';
import type { ProveEvent } from '../../../src/prove/events.ts';
import type { ProveOptions } from '../../../src/prove/options.ts';
import { prove } from '../../../src/prove/prove.ts';
import type { ProveReport } from '../../../src/prove/report.ts';
import { temporaryFolder } from '../support/rpc.ts';
import { FolderDriver, type FolderDriverOptions } from './folder-driver.ts';

jest.setTimeout(60_000);

interface Outcome {
  readonly report: ProveReport;
  readonly texts: readonly string[];
  /** Of the driver, and of the folder that the run worked in. */
  readonly leftovers: readonly string[];
  readonly groupCalls: FolderDriver['groupCalls'];
}

async function run(
  driverOptions: FolderDriverOptions,
  options: Partial<ProveOptions> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Outcome> {
  await using folder = await temporaryFolder();
  const workFolder = join(folder.path, 'work');
  await mkdir(workFolder);
  await using driver = await FolderDriver.start(folder.path, driverOptions);
  const events: ProveEvent[] = [];
  const { endpoint } = driver;
  const given = { endpoint, volumes: 3, rounds: 2, accessType: 'mount' as const, workFolder, seed: 5, ...options };
  const report = await prove(given, (event) => events.push(event), signal);
  const texts = events.map((event) => (event.kind === 'round' ? `round ${event.report.round}` : event.text));
  const leftovers = [...(await driver.leftovers()), ...(await readdir(workFolder))];
  return { report, texts, leftovers, groupCalls: driver.groupCalls };
}

/** Fails the given RPC, from its nth call on for some calls. */
function failing(rpc: string, code: ErrorCode, { from = 1, times = Number.POSITIVE_INFINITY, phase = 'start' } = {}) {
  let calls = 0;
  return (name: string, at: string) => {
    if (name !== rpc || at !== phase) return;
    calls++;
    if (calls >= from && calls < from + times) throw new DriverError(code, `${rpc} fails`);
  };
}

test('a driver that copies member after member is caught, and left as it was', async () => {
  const { report, leftovers, groupCalls } = await run({ pauseMs: 30 }, { rounds: 3 });
  expect(report).toMatchObject({ passed: false, volumes: 3, roundsAsked: 3, bufferedCounts: false });
  expect(report.failure).toBeUndefined();
  expect(report.rounds).toHaveLength(3);
  expect(report.violatedRounds).toBe(3);
  expect(report.violationsByKind.durable).not.toEqual({});
  expect(report.check).toBe('no filesystem check applies: the volume is no mount of its own');
  expect(report.callMs?.min).toBeGreaterThanOrEqual(90);
  expect(report.writers.durable?.numbers).toBeGreaterThan(10);
  expect(leftovers).toEqual([]);
  // The call names the members in another order than that of the writer.
  const [first] = report.rounds;
  expect(first?.orders.writer.order).toEqual([0, 1, 2]);
  expect(first?.orders.members.order).toEqual([2, 1, 0]);
  expect(groupCalls.map(({ volumeIds }) => new Set(volumeIds).size)).toEqual([3, 3, 3]);
  expect(groupCalls[0]?.volumeIds).not.toEqual(groupCalls[1]?.volumeIds);
});

test('disorder among buffered writes counts when it is told to', async () => {
  const { report } = await run({ pauseMs: 30 }, { rounds: 1, countBuffered: true });
  const { durable, buffered } = report.violationsByKind;
  const sum = [...Object.values(durable), ...Object.values(buffered)].reduce((all, count) => all + count, 0);
  expect(report.violations).toBe(sum);
  expect(buffered).not.toEqual({});
});

test('a driver without groups, staging, or both; and one that attaches', async () => {
  for (const shape of [{ groups: false }, { stages: false }, { attaches: true }]) {
    const { report, texts, leftovers } = await run({ pauseMs: 20, ...shape }, { rounds: 1 });
    expect(report.rounds).toHaveLength(1);
    expect(report.failure).toBeUndefined();
    expect(leftovers).toEqual([]);
    expect(texts.includes('the driver has no group snapshots: they are taken one by one')).toBe('groups' in shape);
    expect(report.rounds[0]?.groupId === undefined).toBe('groups' in shape);
  }
});

test('parameters reach the driver; the switch of the fence is one of them', async () => {
  const plain = await run({}, { rounds: 1, snapshotParameters: { some: 'thing' } });
  expect(plain.groupCalls[0]?.parameters).toEqual({ some: 'thing' });
  const unfenced = await run({}, { rounds: 1, noFence: true });
  expect(unfenced.groupCalls[0]?.parameters).toEqual({ 'csi.cofferdam.io/test-no-fence': 'true' });
});

test('a load is written beside, and the window of a group is asked for', async () => {
  const windowsOf = async () =>
    new Map([
      ['a', 12.5],
      ['b', 8],
    ]);
  const { report, leftovers } = await run({}, { rounds: 2, loadBytesPerSecond: 20_000_000n, windowsOf });
  expect(report.failure).toBeUndefined();
  expect(report.windowMs).toEqual({ min: 12.5, median: 12.5, max: 12.5 });
  expect(report.nodeWindowsMs).toMatchObject({ a: { median: 12.5 }, b: { median: 8 } });
  expect(leftovers).toEqual([]);
});

test('evidence that cannot be had is told, and ends nothing', async () => {
  const windowsOf = () => Promise.reject(new Error('no such file'));
  const { report, texts } = await run({}, { rounds: 1, windowsOf });
  expect(report.rounds).toHaveLength(1);
  expect(report.windowMs).toBeUndefined();
  expect(texts.find((text) => text.includes("can't be had: no such file"))).toBeDefined();
});

test('codes that are not final are tried again, and the round says so', async () => {
  const { report, leftovers } = await run({ fault: failing('CreateVolumeGroupSnapshot', 'aborted', { times: 2 }) });
  expect(report.failure).toBeUndefined();
  expect(report.rounds.map(({ retries }) => retries.length)).toEqual([2, 0]);
  expect(leftovers).toEqual([]);
});

test.each([
  ['CreateVolume', 'resource-exhausted', { from: 2 }],
  ['NodeStageVolume', 'internal', { from: 3 }],
  ['NodePublishVolume', 'internal', { from: 5 }],
  ['CreateVolumeGroupSnapshot', 'failed-precondition', { from: 2 }],
  // A restored volume: made, but its id was never answered.
  ['CreateVolume', 'internal', { from: 5, times: 1, phase: 'done' }],
  ['CreateVolumeGroupSnapshot', 'internal', { times: 1, phase: 'done' }],
] as const)('when %s fails (%s, %j), the run ends, says why and leaves nothing', async (rpc, code, when) => {
  const { report, texts, leftovers } = await run({ fault: failing(rpc, code, when) });
  expect(report.passed).toBe(false);
  expect(report.failure).toMatch(`${rpc} fails`);
  expect(texts).toContain('cleaning up');
  expect(report.cleanupFailures).toEqual([]);
  expect(leftovers).toEqual([]);
});

test('a cancelled run stops, says so and leaves nothing', async () => {
  const stop = new AbortController();
  let restores = 0;
  const fault = (rpc: string) => {
    if (rpc === 'NodePublishVolume' && ++restores === 5) stop.abort();
  };
  const { report, leftovers } = await run({ fault }, { rounds: 100 }, stop.signal);
  expect(report.failure).toBe('cancelled');
  expect(report.rounds).toEqual([]);
  expect(leftovers).toEqual([]);
});

test('what cannot be cleaned up is reported, and the rest is cleaned up all the same', async () => {
  const fault = failing('NodeUnpublishVolume', 'internal', { from: 4 });
  const { report, leftovers } = await run({ fault }, { rounds: 1 });
  expect(report.passed).toBe(false);
  expect(report.cleanupFailures.length).toBeGreaterThan(0);
  expect(report.cleanupFailures[0]).toMatch('NodeUnpublishVolume fails');
  expect(leftovers.filter((text) => text.startsWith('snapshot'))).toEqual([]);
});

test('options that make no sense are refused, and so is an endpoint where nobody answers', async () => {
  await expect(run({}, { volumes: 1 })).rejects.toThrow('volumes: 1 must be a whole number from 2 to 1000');
  await expect(run({}, { rounds: 0 })).rejects.toThrow('rounds: 0');
  await expect(run({}, { volumeBytes: 4096n })).rejects.toThrow('volume size: 4 KiB is too small; at least 64 MiB');
  await expect(run({}, { fsType: 'xfs', volumeBytes: 2n ** 27n })).rejects.toThrow('at least 320 MiB');
  await expect(run({}, { endpoint: 'nonsense' })).rejects.toThrow('endpoint');
});
