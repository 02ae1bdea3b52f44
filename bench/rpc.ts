/**
 * Calls per second, memory and start-up, side by side with csi-driver-host-path where its binary is given. Both keep
 * their state on the same XFS, are called by the same client, and log failures only.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../src/core/bytes.ts';
import { rateOf } from './support/clients.ts';
import { buildCofferdam, SOURCES, serveCommand } from './support/cofferdam.ts';
import { type DriverProcess, launch, type Memory } from './support/driver-process.ts';
import type { BenchContext, Part } from './support/part.ts';
import { makeReflinkFolder } from './support/reflink-folder.ts';
import {
  type MemoryRow,
  memorySection,
  type RateRow,
  rateSection,
  type StartRow,
  startSection,
} from './support/rpc-report.ts';
import { median, rotated } from './support/stats.ts';
import { mountVolumes } from './support/volumes.ts';
import { ACTIONS, type Subject, subjectOf } from './support/workload.ts';

const FEW = 10;
const CLIENTS = [1, 16] as const;
const RATE_MS = 1000;
const REPETITIONS = 5;
/** For memory: until a process has come to rest. */
const REST_MS = 2000;

/** A driver to measure. */
interface Candidate {
  readonly name: string;
  readonly command: (endpoint: string) => readonly string[];
}

export const rpc: Part = {
  name: 'rpc',
  summary: 'calls per second, memory and start-up, side by side with csi-driver-host-path',
  run: async (context) => {
    const { folder, options, progress } = context;
    progress('compiling');
    const built = buildCofferdam(path.join(folder, 'package'));
    const shared = await makeReflinkFolder(folder);
    const dataDir = path.join(shared, 'cofferdam');
    const compiled: Candidate = { name: 'cofferdam', command: serveCommand({ main: built, dataDir }) };
    const sources: Candidate = { name: 'sources', command: serveCommand({ main: SOURCES, dataDir }) };
    const peer = options.hostpath === undefined ? [] : [hostPath(options.hostpath, path.join(shared, 'hostpath'))];
    const all = [compiled, sources, ...peer];

    const starts: StartRow[] = [];
    const memory: MemoryRow[] = [];
    starts.push(...(await measureStarts(context, all, 0)));
    const rates = await whileServing(context, [compiled, ...peer], memory);
    starts.push(...(await measureStarts(context, all, options.snapshots)));
    return [rateSection(rates, options.snapshots), memorySection(memory), startSection(starts)];
  },
};

function hostPath(binary: string, stateDir: string): Candidate {
  return {
    name: 'host-path',
    command: (endpoint) => [binary, '-endpoint', endpoint, '-nodeid', 'bench', '-statedir', stateDir, '-v=0'],
  };
}

async function measureStarts(context: BenchContext, candidates: readonly Candidate[], snapshots: number) {
  const { folder, options, progress, signal } = context;
  const repetitions = options.repetitions ?? REPETITIONS;
  const measured = new Map(candidates.map(({ name }) => [name, { startMs: [] as number[], memory: [] as Memory[] }]));
  progress(`starting with ${snapshots} snapshots`);
  // The first of each makes its state, and whatever caches it keeps.
  for (let repetition = -1; repetition < repetitions; repetition++) {
    for (const candidate of rotated(candidates, repetition + 1)) {
      signal.throwIfAborted();
      await using driver = await launch({ folder, ...candidate });
      if (repetition < 0) continue;
      await sleep(REST_MS / 4);
      measured.get(candidate.name)?.startMs.push(driver.startMs);
      measured.get(candidate.name)?.memory.push(await driver.memory());
    }
  }
  return [...measured].map(
    ([name, { startMs, memory }]): StartRow => ({
      name,
      snapshots,
      startMs: median(startMs),
      memory: { rss: median(memory.map(({ rss }) => rss)), alone: median(memory.map(({ alone }) => alone)) },
    }),
  );
}

/** All drivers serve at the same time, and are measured in turns: what disturbs the machine disturbs all. */
async function whileServing(context: BenchContext, candidates: readonly Candidate[], memory: MemoryRow[]) {
  const { folder, options, progress, signal } = context;
  await using resources = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  const note = async (when: string) => {
    await sleep(REST_MS);
    for (const { name, driver } of subjects) memory.push({ name, when, ...(await driver.memory()) });
  };
  for (const candidate of candidates) {
    const driver = resources.use(await launch({ folder, ...candidate }));
    await snapshotOfMounted(driver, folder, signal);
    subjects.push(await subjectOf(candidate.name, driver, Math.max(...CLIENTS)));
  }
  await note('idle, after a first snapshot of a mounted volume');
  const rates: RateRow[] = [];
  for (const snapshots of [FEW, options.snapshots]) {
    for (const subject of subjects) {
      progress(`${subject.name}: making ${snapshots} snapshots`);
      await subject.fillTo(snapshots, signal);
    }
    if (snapshots > FEW) await note(`${snapshots} snapshots made`);
    rates.push(...(await measureRates(context, subjects, snapshots)));
    await note(`after the calls with ${snapshots} snapshots`);
  }
  return rates;
}

/** Whatever a driver starts for its first fence is part of it. */
async function snapshotOfMounted(driver: DriverProcess, folder: string, signal: AbortSignal): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const [volume] = await mountVolumes(driver, 1, 64n * MiB, folder, signal, resources);
  const request = { name: 'first', sourceVolumeId: volume?.id ?? '' };
  const { snapshot } = await driver.client.controller.CreateSnapshot(request);
  await driver.client.controller.DeleteSnapshot({ snapshotId: snapshot?.snapshotId ?? '' });
}

async function measureRates(
  { options, progress, signal }: BenchContext,
  subjects: readonly Subject[],
  snapshots: number,
) {
  const rows: RateRow[] = [];
  for (const { title, action } of ACTIONS) {
    for (const clients of CLIENTS) {
      progress(`${title}, ${snapshots} snapshots, ${clients} clients`);
      // A program that compiles itself as it runs is slow at first; that is not what this is about.
      for (const subject of subjects) await rateOf(action(subject), clients, RATE_MS);
      const rates = new Map(subjects.map(({ name }) => [name, [] as number[]]));
      for (let repetition = 0; repetition < (options.repetitions ?? REPETITIONS); repetition++) {
        for (const subject of rotated(subjects, repetition)) {
          signal.throwIfAborted();
          rates.get(subject.name)?.push(await rateOf(action(subject), clients, RATE_MS));
        }
      }
      for (const [name, values] of rates) rows.push({ title, snapshots, clients, name, perSecond: median(values) });
    }
  }
  return rows;
}
