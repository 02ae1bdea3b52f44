/** A snapshot and a restore cost the image's extents, not its size. */
import { open } from 'node:fs/promises';
import path from 'node:path';
import { type Bytes, formatBytes, GiB } from '../src/core/bytes.ts';
import { extentCount } from '../src/host/reflink.ts';
import { SOURCES, serveCommand } from './support/cofferdam.ts';
import { launch } from './support/driver-process.ts';
import type { Aim, Part, Section } from './support/part.ts';
import { median, ms, rotated, times } from './support/stats.ts';
import { imageOf } from './support/volumes.ts';

const SIZES: readonly Bytes[] = [1n * GiB, 10n * GiB, 100n * GiB];
const EXTENTS = 1000;
const BLOCK_BYTES = 4096;
const REPETITIONS = 25;
const FLAT = 1.2;

interface Source {
  readonly bytes: Bytes;
  readonly id: string;
  readonly extents: number;
  readonly snapshotMs: number[];
  readonly restoreMs: number[];
}

export const size: Part = {
  name: 'size',
  summary: 'snapshot and restore of 1, 10 and 100 GiB with the same extents',
  run: async ({ folder, options, progress, signal }) => {
    const dataDir = path.join(folder, 'data');
    const command = serveCommand({ main: SOURCES, dataDir, flags: ['--pool-size', '32GiB'] });
    await using driver = await launch({ folder, name: 'csi', command });
    const { controller } = driver.client;
    const sources: Source[] = [];
    for (const bytes of SIZES) {
      progress(`an image of ${formatBytes(bytes)}`);
      const id = await createVolume(`source-${bytes}`, bytes);
      const image = imageOf(dataDir, id);
      await writeExtents(image, bytes);
      sources.push({ bytes, id, extents: await extentCount(image), snapshotMs: [], restoreMs: [] });
    }
    const repetitions = options.repetitions ?? REPETITIONS;
    progress(`${repetitions} snapshots and restores of each`);
    // The first is not counted.
    for (let repetition = -1; repetition < repetitions; repetition++) {
      for (const source of rotated(sources, repetition + 1)) {
        signal.throwIfAborted();
        const [snapshotMs, restoreMs] = await snapshotAndRestore(source, repetition);
        if (repetition < 0) continue;
        source.snapshotMs.push(snapshotMs);
        source.restoreMs.push(restoreMs);
      }
    }
    return [report(sources)];

    async function snapshotAndRestore({ id, bytes }: Source, repetition: number): Promise<readonly [number, number]> {
      const start = performance.now();
      const name = `snapshot-${bytes}-${repetition}`;
      const { snapshot } = await controller.CreateSnapshot({ name, sourceVolumeId: id });
      const taken = performance.now();
      const snapshotId = snapshot?.snapshotId ?? '';
      const restored = await createVolume(`restored-${bytes}-${repetition}`, bytes, snapshotId);
      const done = performance.now();
      await controller.DeleteVolume({ volumeId: restored });
      await controller.DeleteSnapshot({ snapshotId });
      return [taken - start, done - taken];
    }

    async function createVolume(name: string, bytes: Bytes, snapshotId?: string): Promise<string> {
      const { volume } = await controller.CreateVolume({
        name,
        capacityRange: { requiredBytes: String(bytes) },
        volumeCapabilities: [{ block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } }],
        ...(snapshotId !== undefined && { volumeContentSource: { snapshot: { snapshotId } } }),
      });
      return volume?.volumeId ?? '';
    }
  },
};

/** One block here and there, from the first to the last. */
async function writeExtents(image: string, bytes: Bytes): Promise<void> {
  await using file = await open(image, 'r+');
  const block = Buffer.alloc(BLOCK_BYTES, 1);
  const step = (Number(bytes) - BLOCK_BYTES) / (EXTENTS - 1);
  for (let i = 0; i < EXTENTS; i++) {
    await file.write(block, 0, BLOCK_BYTES, Math.floor((i * step) / BLOCK_BYTES) * BLOCK_BYTES);
  }
  await file.sync();
}

function report(sources: readonly Source[]): Section {
  const rows = sources.map(({ bytes, extents, snapshotMs, restoreMs }) => ({
    bytes: String(bytes),
    extents,
    snapshotMs: median(snapshotMs),
    restoreMs: median(restoreMs),
  }));
  const [first] = rows;
  const flat = (what: string, values: readonly number[]): Aim => {
    const spread = Math.max(...values) / Math.min(...values);
    const aim = `${FLAT}x from the least to the most`;
    return { what: `${what} of 1, 10 and 100 GiB`, aim, measured: times(spread, 1), reached: spread <= FLAT };
  };
  return {
    title: 'Size: snapshot and restore, whole calls (ms, medians)',
    columns: ['IMAGE', 'EXTENTS', 'SNAPSHOT', 'TO 1 GIB', 'RESTORE', 'TO 1 GIB'].map((title) => ({
      title,
      align: 'right' as const,
    })),
    rows: rows.map(({ bytes, extents, snapshotMs, restoreMs }) => [
      formatBytes(BigInt(bytes)),
      String(extents),
      ms(snapshotMs),
      times(snapshotMs, first?.snapshotMs ?? Number.NaN),
      ms(restoreMs),
      times(restoreMs, first?.restoreMs ?? Number.NaN),
    ]),
    aims: [
      flat(
        'snapshot',
        rows.map(({ snapshotMs }) => snapshotMs),
      ),
      flat(
        'restore',
        rows.map(({ restoreMs }) => restoreMs),
      ),
    ],
    notes: ['Volumes that nobody has mounted: no fence, so nothing hides what the copy itself costs.'],
    data: rows,
  };
}
