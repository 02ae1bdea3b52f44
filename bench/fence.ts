/**
 * How long the writers of a group wait: our fence against what one does without one, the fsfreeze command and a reflink
 * copy, volume by volume, over the same volumes in the same run.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspectLoopPool } from '../src/backends/loop/inspect.ts';
import { MiB } from '../src/core/bytes.ts';
import { windowOf } from '../src/fence/evidence.ts';
import { extentCount } from '../src/host/reflink.ts';
import { SOURCES, serveCommand } from './support/cofferdam.ts';
import { type DriverProcess, launch } from './support/driver-process.ts';
import { type Member, snapshotByCommands, untilRcuIsNormal } from './support/one-by-one.ts';
import type { Aim, Part, Section } from './support/part.ts';
import { Writers } from './support/stall.ts';
import type { WriterPlan } from './support/stall-thread.ts';
import { fraction, median, ms, rotated } from './support/stats.ts';
import { imageOf, type MountedVolume, mountVolumes } from './support/volumes.ts';

const COUNTS = [1, 4, 16, 64] as const;
const VOLUME_BYTES = 512n * MiB;
/** Kept dirty over all volumes of a group: each writer rewrites its share of it once in PASS_MS. */
const DIRTY_BYTES = 100 * 2 ** 20;
const PASS_MS = 1000;
const CHUNK_BYTES = 64 * 1024;
const REPETITIONS = 7;

/**
 * `idle`: nobody writes. `probe`: one thread that writes a page here and there, to see its stall. `load`: a writer for
 * each volume, DIRTY_BYTES in all.
 */
const STATES = ['idle', 'probe', 'load'] as const;
type State = (typeof STATES)[number];
const WAYS = ['fence', 'each', 'all'] as const;
type Way = (typeof WAYS)[number];

interface Sample {
  readonly windowMs: number;
  /** Undefined when nobody wrote. */
  readonly stallMs: number | undefined;
}

interface Bench {
  readonly driver: DriverProcess;
  readonly dataDir: string;
  readonly copies: string;
  readonly volumes: readonly MountedVolume[];
}

interface Result {
  readonly volumes: number;
  readonly state: State;
  readonly way: Way;
  readonly windowMs: number;
  readonly stallMs: number | undefined;
  readonly samples: readonly Sample[];
}

export const fence: Part = {
  name: 'fence',
  summary: 'window and longest writer stall of a group snapshot, against fsfreeze one after the other',
  run: async (context) => {
    const { folder, progress, signal, options } = context;
    await using resources = new AsyncDisposableStack();
    const dataDir = path.join(folder, 'data');
    const driver = resources.use(
      await launch({
        folder,
        name: 'csi',
        command: serveCommand({ main: SOURCES, dataDir, flags: ['--pool-size', '48GiB'] }),
      }),
    );
    progress(`making ${Math.max(...COUNTS)} volumes`);
    const volumes = await mountVolumes(driver, Math.max(...COUNTS), VOLUME_BYTES, folder, signal, resources);
    const copies = path.join(dataDir, 'pool/bench');
    await mkdir(copies);
    resources.defer(() => rm(copies, { recursive: true, force: true }));

    const results: Result[] = [];
    for (const count of COUNTS) {
      const bench: Bench = { driver, dataDir, copies, volumes: volumes.slice(0, count) };
      for (const state of STATES) {
        progress(`${count} volumes, ${state}`);
        results.push(...(await measure(bench, state, options.repetitions ?? REPETITIONS, signal)));
      }
    }
    const extents = await Promise.all(volumes.map(({ id }) => extentCount(imageOf(dataDir, id))));
    return [report(results, Math.max(...extents))];
  },
};

async function measure(bench: Bench, state: State, repetitions: number, signal: AbortSignal): Promise<Result[]> {
  await using writers = await Writers.start(plansOf(state, bench.volumes));
  const samples = new Map<Way, Sample[]>(WAYS.map((way) => [way, []]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const way of rotated(WAYS, repetition)) {
      signal.throwIfAborted();
      await settle(state, writers);
      const windowMs = way === 'fence' ? await byFence(bench) : await byCommands(bench, way);
      const stallMs = state === 'idle' ? undefined : writers.takeLongestStallMs();
      samples.get(way)?.push({ windowMs, stallMs });
      await rm(bench.copies, { recursive: true, force: true });
      await mkdir(bench.copies);
    }
  }
  return WAYS.map((way) => {
    const own = samples.get(way) ?? [];
    const stalls = own.flatMap(({ stallMs }) => stallMs ?? []);
    return {
      volumes: bench.volumes.length,
      state,
      way,
      windowMs: median(own.map(({ windowMs }) => windowMs)),
      stallMs: stalls.length > 0 ? median(stalls) : undefined,
      samples: own,
    };
  });
}

function plansOf(state: State, volumes: readonly MountedVolume[]): readonly WriterPlan[] {
  const file = ({ folder }: MountedVolume) => path.join(folder, 'bench.dat');
  switch (state) {
    case 'idle':
      return [];
    case 'probe':
      return [{ files: volumes.map(file), fileBytes: 4096, chunkBytes: 4096, pauseMs: 0.5 }];
    case 'load': {
      const chunks = Math.ceil(DIRTY_BYTES / volumes.length / CHUNK_BYTES);
      const plan = { fileBytes: chunks * CHUNK_BYTES, chunkBytes: CHUNK_BYTES, pauseMs: PASS_MS / chunks };
      return volumes.map((volume) => ({ files: [file(volume)], ...plan }));
    }
  }
}

/** Until everything that is to be dirty is, and what the last measurement left is gone. */
async function settle(state: State, writers: Writers): Promise<void> {
  await sleep(state === 'load' ? 1.2 * PASS_MS : 200);
  await untilRcuIsNormal();
  writers.takeLongestStallMs();
}

async function byFence({ driver, dataDir, volumes }: Bench): Promise<number> {
  const name = `bench-${process.hrtime.bigint()}`;
  const sourceVolumeIds = volumes.map(({ id }) => id);
  const { groupSnapshot } = await driver.client.group.CreateVolumeGroupSnapshot({ name, sourceVolumeIds });
  const groupSnapshotId = groupSnapshot?.groupSnapshotId ?? '';
  const { cuts } = await inspectLoopPool(dataDir, { overcommitRatio: 1, reservePercent: 0 });
  const record = cuts.find(({ group }) => group?.id === groupSnapshotId);
  if (!record) throw new Error(`the pool has no record of ${groupSnapshotId}`);
  const snapshotIds = record.snapshots.map(({ id }) => id);
  await driver.client.group.DeleteVolumeGroupSnapshot({ groupSnapshotId, snapshotIds });
  return windowOf([record]);
}

async function byCommands({ dataDir, copies, volumes }: Bench, manner: 'each' | 'all'): Promise<number> {
  const members = volumes.map(
    ({ id, folder }, index): Member => ({
      mountPoint: folder,
      image: imageOf(dataDir, id),
      copy: path.join(copies, `${index}.img`),
    }),
  );
  return await snapshotByCommands(manner, members);
}

function report(results: readonly Result[], mostExtents: number): Section {
  const find = (volumes: number, state: State, way: Way) =>
    results.find((result) => result.volumes === volumes && result.state === state && result.way === way);
  const shown = (value: number | undefined) => (value === undefined ? '' : ms(value));
  const compared = (value: number | undefined, base: number | undefined) =>
    value === undefined || base === undefined ? '' : fraction(value, base);
  const rows = COUNTS.flatMap((volumes) =>
    (['idle', 'load'] as const).map((state) => {
      // Whoever looks at a stall writes, so the stall of idle volumes is measured by itself, under the probe.
      const watched = state === 'idle' ? 'probe' : 'load';
      const window = (way: Way) => find(volumes, state, way)?.windowMs;
      const stall = (way: Way) => find(volumes, watched, way)?.stallMs;
      return [
        ...[String(volumes), state === 'idle' ? 'idle' : 'writers'],
        ...[shown(window('fence')), shown(window('each')), compared(window('fence'), window('each'))],
        ...[shown(window('all')), compared(window('fence'), window('all'))],
        ...[shown(stall('fence')), shown(stall('each')), shown(stall('all')), compared(stall('fence'), stall('all'))],
      ];
    }),
  );
  return {
    title: 'Fence: window of a group snapshot and longest stall of a writer (ms, medians)',
    columns: [
      ...[{ title: 'VOLUMES', align: 'right' as const }, { title: 'STATE' }],
      ...['WINDOW', 'EACH', 'RATIO', 'ALL', 'RATIO', 'STALL', 'EACH', 'ALL', 'RATIO'].map((title) => ({
        title,
        align: 'right' as const,
      })),
    ],
    rows,
    aims: [aimAt('idle', 40), aimAt('load', 20)],
    notes: [
      'EACH: fsfreeze, cp --reflink, fsfreeze -u, volume by volume: the group is not consistent.',
      'ALL: fsfreeze of all, copies of all, thaw of all, one after the other: consistent, and what the stall compares with.',
      `Images had ${mostExtents} extents at most.`,
    ],
    data: results,
  };

  function aimAt(state: 'idle' | 'load', factor: number): Aim {
    const ours = find(16, state, 'fence')?.windowMs ?? Number.NaN;
    const theirs = find(16, state, 'each')?.windowMs ?? Number.NaN;
    return {
      what: `window of 16 volumes, ${state === 'idle' ? 'idle' : 'under writers'}, to one after the other`,
      aim: `1/${factor}`,
      measured: fraction(ours, theirs),
      reached: ours * factor <= theirs,
    };
  }
}
