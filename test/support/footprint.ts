/**
 * What there is of a driver on this machine, without the names that differ from run to run: two footprints are equal when
 * nothing was leaked in between.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { readMountTable } from '../../src/host/mount-table.ts';
import { compare } from './rig.ts';
import { eventually, type Scratch } from './scratch.ts';
import { dataOf, processesOf } from './serve.ts';

/** What there is of a driver in its data folder. */
export interface PoolFootprint {
  /** Files of the pool; a cut is a list of the files in it. */
  readonly volumes: readonly string[];
  readonly cuts: readonly string[];
  readonly trash: number;
  /** Rounds that may hold something frozen. */
  readonly journal: number;
}

export interface Footprint extends PoolFootprint {
  /** Backing files, below the folder. */
  readonly loops: readonly string[];
  /** `where: type`, in the order of the paths. */
  readonly mounts: readonly string[];
  /** Processes that nobody looks after. */
  readonly orphans: readonly string[];
  /** What kubelet's folder has. */
  readonly targets: readonly string[];
}

/** @param serving the process that should be there */
export async function footprint(scratch: Scratch, serving?: number): Promise<Footprint> {
  const [loops, table, processes] = await Promise.all([scratch.loops(), readMountTable(), processesOf(scratch)]);
  const inside = (file: string) => path.relative(scratch.folder, file);
  return {
    loops: loops.map(({ backingPath }) => inside(backingPath)).toSorted(compare),
    mounts: table
      .filter(({ mountPoint }) => mountPoint.startsWith(`${scratch.folder}/`))
      .map(({ mountPoint, fsType, options }) => `${inside(mountPoint)}: ${fsType} ${options[0]}`)
      .toSorted(compare),
    ...(await poolFootprint(dataOf(scratch))),
    orphans: processes
      .filter(({ pid, parent }) => pid !== serving && parent !== serving)
      .map(({ command }) => command)
      .toSorted(compare),
    targets: await namesIn(kubeletOf(scratch)),
  };
}

export async function poolFootprint(dataDir: string): Promise<PoolFootprint> {
  const pool = path.join(dataDir, 'pool');
  const cuts = await namesIn(path.join(pool, 'cuts'));
  const contents = await Promise.all(cuts.map((token) => namesIn(path.join(pool, 'cuts', token))));
  return {
    volumes: await namesIn(path.join(pool, 'volumes')),
    cuts: contents.map((names) => names.join(' ')).toSorted(compare),
    trash: (await namesIn(path.join(pool, 'trash'))).length,
    journal: (await namesIn(path.join(dataDir, 'journal'))).length,
  };
}

export function kubeletOf(scratch: Scratch): string {
  return scratch.path('kubelet');
}

/**
 * The trash is emptied, guards end, and devices go away, a little after the call that asked for it.
 * @param others that will do as well
 */
export async function settled(
  scratch: Scratch,
  serving: number | undefined,
  expected: Footprint,
  others: readonly Footprint[] = [],
): Promise<void> {
  const wanted = [expected, ...others].map((each) => JSON.stringify(each));
  let now = expected;
  try {
    await eventually('the footprint is as it was', async () => {
      now = await footprint(scratch, serving);
      return wanted.includes(JSON.stringify(now));
    });
  } catch (cause) {
    const difference = Object.keys(expected)
      .map((key) => key as keyof Footprint)
      .filter((key) => JSON.stringify(now[key]) !== JSON.stringify(expected[key]))
      .map((key) => `${key}: ${JSON.stringify(now[key])} instead of ${JSON.stringify(expected[key])}`);
    throw new Error(`left behind, or lost: ${difference.join('; ')}`, { cause });
  }
}

/** Temporary files of a write that is under way count, as they should: they are gone when it is done. */
async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch((): string[] => [])).toSorted(compare);
}
