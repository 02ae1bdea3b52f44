/** fio on a mounted volume against a file on the pool: what the loop device and its filesystem cost. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { GiB } from '../src/core/bytes.ts';
import { hasCode } from '../src/core/errors.ts';
import { run } from '../src/host/exec.ts';
import { requireTools } from '../src/host/privileges.ts';
import { SOURCES, serveCommand } from './support/cofferdam.ts';
import { launch } from './support/driver-process.ts';
import type { Part, Section } from './support/part.ts';
import { median, rotated, times } from './support/stats.ts';
import { mountVolumes } from './support/volumes.ts';

const FILE_BYTES = GiB;
const SECONDS = 5;
const REPETITIONS = 3;
const FIO_LIMIT_MS = 120_000;

/** One thing that fio does to a file that is laid out. */
interface Job {
  readonly title: string;
  readonly flags: readonly string[];
  readonly read: (report: FioJob) => number;
  readonly unit: string;
}

interface FioSide {
  readonly iops: number;
  /** Bytes per second. */
  readonly bw_bytes: number;
}

interface FioJob {
  readonly read: FioSide;
  readonly write: FioSide;
  readonly sync: { readonly lat_ns: { readonly percentile?: Readonly<Record<string, number>> } };
}

const direct = (pattern: string, block: string, depth: number) => [
  ...[`--rw=${pattern}`, `--bs=${block}`, `--iodepth=${depth}`, '--ioengine=libaio', '--direct=1'],
];
const FSYNC = ['--rw=randwrite', '--bs=4k', '--ioengine=psync', '--fsync=1'];
const syncLatency = (percentile: string) => (job: FioJob) =>
  (job.sync.lat_ns.percentile?.[percentile] ?? Number.NaN) / 1e3;

const JOBS: readonly Job[] = [
  { title: 'random write 4 KiB', flags: direct('randwrite', '4k', 16), read: ({ write }) => write.iops, unit: 'IOPS' },
  { title: 'random read 4 KiB', flags: direct('randread', '4k', 16), read: ({ read }) => read.iops, unit: 'IOPS' },
  {
    title: 'sequential write',
    flags: direct('write', '1M', 4),
    read: ({ write }) => write.bw_bytes / 2 ** 20,
    unit: 'MiB/s',
  },
  {
    title: 'sequential read',
    flags: direct('read', '1M', 4),
    read: ({ read }) => read.bw_bytes / 2 ** 20,
    unit: 'MiB/s',
  },
  { title: 'fsync, median', flags: FSYNC, read: syncLatency('50.000000'), unit: 'us' },
  { title: 'fsync, 99th percentile', flags: FSYNC, read: syncLatency('99.000000'), unit: 'us' },
];

export const io: Part = {
  name: 'io',
  summary: 'fio on a volume against a file on the pool',
  run: async ({ folder, options, progress, signal }) => {
    try {
      await requireTools(['fio']);
    } catch (error) {
      if (!hasCode(error, 'failed-precondition')) throw error;
      return [notMeasured()];
    }
    await using resources = new AsyncDisposableStack();
    const dataDir = path.join(folder, 'data');
    const command = serveCommand({ main: SOURCES, dataDir, flags: ['--pool-size', '16GiB'] });
    const driver = resources.use(await launch({ folder, name: 'csi', command }));
    const [volume] = await mountVolumes(driver, 1, 4n * FILE_BYTES, folder, signal, resources);
    const onPool = path.join(dataDir, 'pool/bench');
    await mkdir(onPool);
    resources.defer(() => rm(onPool, { recursive: true, force: true }));
    const places = { volume: path.join(volume?.folder ?? '', 'fio.dat'), pool: path.join(onPool, 'fio.dat') };

    progress('laying out the files');
    for (const file of Object.values(places)) await fio(file, [...direct('write', '1M', 4), '--end_fsync=1'], signal);
    const results = [];
    for (const job of JOBS) {
      progress(job.title);
      results.push({ job, ...(await compare(job, places, options.repetitions ?? REPETITIONS, signal)) });
    }
    return [report(results)];
  },
};

async function compare(
  { flags, read }: Job,
  places: Readonly<Record<'volume' | 'pool', string>>,
  repetitions: number,
  signal: AbortSignal,
) {
  const values = { volume: [] as number[], pool: [] as number[] };
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const place of rotated(['volume', 'pool'] as const, repetition)) {
      const job = await fio(places[place], [...flags, '--time_based', `--runtime=${SECONDS}`], signal);
      values[place].push(read(job));
    }
  }
  return { volume: median(values.volume), pool: median(values.pool) };
}

async function fio(file: string, flags: readonly string[], signal: AbortSignal): Promise<FioJob> {
  const common = [
    '--name=bench',
    `--filename=${file}`,
    `--size=${FILE_BYTES}`,
    '--output-format=json',
    '--randrepeat=0',
  ];
  const { stdout } = await run(['fio', ...common, ...flags], { signal, timeoutMs: FIO_LIMIT_MS });
  const { jobs } = JSON.parse(stdout) as { readonly jobs: readonly FioJob[] };
  if (!jobs[0]) throw new Error('fio reports no job');
  return jobs[0];
}

const TITLE = 'I/O: a volume (ext4 on a loop device) against a file on the pool (medians)';

function report(results: readonly { readonly job: Job; readonly volume: number; readonly pool: number }[]): Section {
  return {
    title: TITLE,
    columns: [
      { title: 'WORK' },
      ...['VOLUME', 'POOL'].map((title) => ({ title, align: 'right' as const })),
      { title: 'UNIT' },
      { title: 'RATIO', align: 'right' },
    ],
    rows: results.map(({ job, volume, pool }) => [
      job.title,
      volume.toFixed(0),
      pool.toFixed(0),
      job.unit,
      times(volume, pool),
    ]),
    aims: [],
    notes: ['Of IOPS and MiB/s more is better, of latencies less. Direct I/O over files that are laid out.'],
    data: results.map(({ job: { title, unit }, volume, pool }) => ({ title, unit, volume, pool })),
  };
}

function notMeasured(): Section {
  const notes = ['Not measured: fio is not installed (Debian package fio).'];
  return { title: TITLE, columns: [], rows: [], aims: [], notes, data: null };
}
