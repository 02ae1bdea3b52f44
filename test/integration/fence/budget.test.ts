/** A cut that would hold writers up for too long is refused before anything is frozen. */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Layout } from '../../../src/backends/loop/layout.ts';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { RoundCoordinator } from '../../../src/fence/coordinator.ts';
import { windowOf } from '../../../src/fence/evidence.ts';
import { unmount } from '../../../src/host/mount.ts';
import { extentCount } from '../../../src/host/reflink.ts';
import { fragmentImage } from '../../support/fragment.ts';
import { type MountedVolume, NEVER, Rig, type RigOptions } from '../../support/rig.ts';
import { Scratch } from '../../support/scratch.ts';

const EXTENTS = 300_000n;
/** Far more than any machine takes. */
const LONG_MS = 300_000;

let scratch: Scratch;
let rig: Rig;
let worn: MountedVolume;
let fresh: MountedVolume;

beforeAll(async () => {
  scratch = await Scratch.open();
  await openRig({});
  worn = await rig.volume(scratch, 'worn', 'ext4', 4n * GiB, async () => fragmentImage(imageOf('worn'), GiB, EXTENTS));
  fresh = await rig.volume(scratch, 'fresh', 'ext4');
  // What mkfs has written on it does not matter much.
  expect(await extentCount(imageOf('worn'))).toBeGreaterThan(290_000);
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

test('with an image of 300,000 extents the round is refused, quickly, and nothing was frozen', async () => {
  const { error, phases, ms } = await attempt('refused', [worn, fresh]);
  expect(error).toMatchObject({
    code: 'failed-precondition',
    message: expect.stringMatching(
      new RegExp(`budget of a fence is 1000 ms: volume ${worn.id} has [23]\\d{5} extents`),
    ),
  });
  expect(phases).not.toContain('freeze');
  expect(await rig.inPool('cuts')).toEqual([]);
  expect(await rig.journal()).toEqual([]);

  await openRig({ fenceBudgetMs: LONG_MS, leaseMs: LONG_MS });
  const record = await rig.group('afforded', [worn.id, fresh.id]);
  const windowMs = windowOf([record]);
  console.log(`refused after ${Math.round(ms)} ms; with a larger budget the window was ${Math.round(windowMs)} ms`);
  expect(ms).toBeLessThan(windowMs / 4);
  expect(record.evidence.map(({ quiescence }) => quiescence)).toEqual(['frozen', 'frozen']);
});

test('the lease is a budget too', async () => {
  await openRig({ fenceBudgetMs: LONG_MS, leaseMs: 200 });
  const { error, phases } = await attempt('lease', [worn]);
  expect(error).toMatchObject({ code: 'failed-precondition' });
  expect(phases).not.toContain('freeze');
});

test('a copy of it is refused as well', async () => {
  await openRig({});
  const copy = rig.create('copy', 4n * GiB, { kind: 'volume', id: worn.id });
  await expect(copy).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining('extents'),
  });
  expect(await rig.backend.getVolume(rig.volumeId('copy'))).toBeUndefined();
});

test('other volumes are not held to account, nor is any that nobody uses', async () => {
  await openRig({});
  expect((await rig.group('fresh', [fresh.id])).snapshots).toHaveLength(1);
  await openRig({ fenceBudgetMs: 10 });
  const blank = async () => fragmentImage(imageOf('idle'), 64n * MiB, 5000n);
  const idle = await rig.volume(scratch, 'idle', 'ext4', 128n * MiB, blank);
  expect((await attempt('used', [idle])).error).toMatchObject({ code: 'failed-precondition' });
  await unmount(idle.mountPoint);
  await rig.backend.detach(idle.id);
  expect((await rig.group('idle', [idle.id])).evidence.map(({ quiescence }) => quiescence)).toEqual(['idle']);
});

async function openRig(options: RigOptions): Promise<void> {
  await rig?.[Symbol.asyncDispose]();
  rig = await Rig.open(scratch.path('data'), { poolSize: 8n * GiB, fenceBudgetMs: 1000, ...options });
}

async function attempt(name: string, volumes: readonly MountedVolume[]) {
  const phases: string[] = [];
  const coordinator = new RoundCoordinator(rig.directory, rig.leaseMs, {
    committed: () => undefined,
    aborted: ({ phaseMs }) => phases.push(...phaseMs.keys()),
    undecided: () => undefined,
    unfinished: () => undefined,
  });
  const start = performance.now();
  const error: unknown = await coordinator
    .run(
      rig.groupRequest(
        name,
        volumes.map(({ id }) => id),
      ),
      NEVER,
    )
    .catch((reason: unknown) => reason);
  return { error, phases, ms: performance.now() - start };
}

function imageOf(name: string): string {
  return new Layout(path.join(rig.dataDir, 'pool')).volumeImage(rig.volumeId(name));
}
