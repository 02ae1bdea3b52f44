/**
 * One controller over 10, 100 and 1000 nodes with a million snapshots in all: what a call costs that has nothing to do
 * with most of them. The nodes are simulated, their agents and connections are real.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchContext, Part } from './support/part.ts';
import { type CallRow, callSection, type SizeRow, sizeSection } from './support/scale-report.ts';
import {
  AFTER_WALK,
  CALLED,
  CALLS,
  FIRST_CALL,
  MEMBERS,
  type ScaleCall,
  SNAPSHOTS,
  type Subject,
  startSubject,
  WALK_PAGE,
  walk,
} from './support/scale-subject.ts';
import { median, percentile, rotated } from './support/stats.ts';

const SIZES = [10, 100, 1000] as const;
const REPETITIONS = 300;
/** A program that compiles itself as it runs is slow at first. */
const WARM_UP = 100;
/** What asks many nodes takes longer. */
const SPREAD_SHARE = 0.1;
/** For memory: until a process has come to rest. */
const REST_MS = 2000;

export const scale: Part = {
  name: 'scale',
  summary: 'a controller over 10, 100 and 1000 nodes: calls, pages, a group of 64, memory',
  run: async (context) => {
    const { folder, options, progress, signal } = context;
    await using resources = new AsyncDisposableStack();
    // All at a time, measured in turns: what disturbs the machine disturbs all.
    const subjects: Subject[] = [];
    for (const nodes of SIZES) {
      progress(`a controller over ${nodes} nodes`);
      subjects.push(await startSubject(nodes, folder, resources));
    }
    const sizes: SizeRow[] = [];
    const noteMemory = async (what: string) => {
      await sleep(REST_MS);
      const bytes = await Promise.all(subjects.map(({ driver }) => driver.memory()));
      sizes.push({ what: `resident ${what}, MiB`, kind: 'bytes', values: bytes.map(({ rss }) => rss) });
    };

    await noteMemory('after the start');
    const calls = [await measure(context, subjects, FIRST_CALL, CALLED, 0)];
    const repetitions = options.repetitions ?? REPETITIONS;
    for (const call of CALLS) {
      const share = call.spread ? SPREAD_SHARE : 1;
      calls.push(await measure(context, subjects, call, Math.ceil(repetitions * share), WARM_UP * share));
    }
    await noteMemory('after the calls');

    progress('walks over all snapshots');
    const rates = await walkRates(subjects, signal);
    sizes.push({ what: `snapshots a second, all by pages of ${WALK_PAGE}`, kind: 'rate', values: rates });
    calls.push(await measure(context, subjects, AFTER_WALK, repetitions, 0));
    await noteMemory('after the walk, all nodes connected');
    return [callSection(SIZES, calls), sizeSection(SIZES, sizes)];
  },
};

/** A page of each in turn. @returns snapshots per second of each */
async function walkRates(subjects: readonly Subject[], signal: AbortSignal): Promise<readonly number[]> {
  const walks = subjects.map((subject) => ({ pages: walk(subject), seen: 0, ms: 0, over: false }));
  for (let turn = 0; walks.some(({ over }) => !over); turn++) {
    for (const each of rotated(walks, turn)) {
      signal.throwIfAborted();
      const started = performance.now();
      const page = await each.pages.next();
      each.ms += performance.now() - started;
      each.seen += page.value ?? 0;
      each.over = page.done ?? false;
    }
  }
  for (const { seen } of walks) if (seen !== SNAPSHOTS) throw new Error(`the list has ${seen} snapshots`);
  return walks.map(({ seen, ms }) => (seen * 1000) / ms);
}

async function measure(
  { progress, signal }: BenchContext,
  subjects: readonly Subject[],
  { title, spread, run }: ScaleCall,
  repetitions: number,
  warmUp: number,
): Promise<CallRow> {
  progress(title);
  const taking = subjects.filter(({ nodes }) => !spread || nodes >= MEMBERS);
  const samples = new Map(subjects.map(({ nodes }) => [nodes, [] as number[]]));
  for (let turn = -warmUp; turn < repetitions; turn++) {
    for (const subject of rotated(taking, turn + warmUp)) {
      signal.throwIfAborted();
      const started = performance.now();
      await run(subject, turn + warmUp);
      if (turn >= 0) samples.get(subject.nodes)?.push(performance.now() - started);
    }
  }
  const figures = [...samples.values()].map((values) =>
    values.length > 0 ? { medianMs: median(values), p99Ms: percentile(values, 99) } : undefined,
  );
  return { title, figures };
}
