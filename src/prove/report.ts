import type { DriverFacts } from './driver.ts';
import { VIOLATION_KINDS, type Violation, type ViolationKind } from './judge.ts';
import type { ProvePlan } from './options.ts';
import type { RoundOrders } from './orders.ts';
import type { Stream } from './record.ts';
import type { WriteMode } from './writer-file.ts';

/** A restored volume that could not be looked at, or whose filesystem could not be checked: that is no violation. */
export interface Unchecked {
  readonly volume: number;
  readonly reason: string;
}

/** One group snapshot, and what came of it. Volumes are counted from 0, in the order in which they were made. */
export interface RoundReport {
  /** Counted from 1. */
  readonly round: number;
  /** In which the volumes were written to, and in which the call named them. */
  readonly orders: RoundOrders;
  readonly groupId?: string;
  /** How often the call was made again, and why. */
  readonly retries: readonly string[];
  readonly callMs: number;
  /** The driver's own evidence: the longest over the nodes, and by node. */
  readonly windowMs?: number;
  readonly nodeWindowsMs?: Readonly<Record<string, number>>;
  /** The longest time between two writes that returned: around the call, and between the last call and this. */
  readonly stallMs: Readonly<Record<Stream, number>>;
  readonly quietStallMs: Readonly<Record<Stream, number>>;
  /** By volume: the number that was acknowledged before the call, and the one in the snapshot. */
  readonly acknowledged: Readonly<Record<Stream, readonly number[]>>;
  readonly found: Readonly<Record<Stream, readonly (number | undefined)[]>>;
  readonly violations: Readonly<Record<Stream | 'filesystem', readonly Violation[]>>;
  readonly unchecked: readonly Unchecked[];
  readonly verifyMs: number;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface WriterReport {
  readonly mode: WriteMode;
  /** Numbers written to every volume. */
  readonly numbers: number;
  /** Write times: bucket i counts those from 2^i up to 2^(i+1) microseconds. */
  readonly histogram: readonly number[];
}

export interface ProveReport {
  /** True when every round was made and could be checked, nothing was violated, and everything was cleaned up. */
  readonly passed: boolean;
  /** Why it ended early. */
  readonly failure?: string;
  readonly driver?: DriverFacts;
  readonly volumes: number;
  /** Names of the nodes that the volumes are spread over. */
  readonly nodes: readonly string[];
  readonly accessType: 'mount' | 'block';
  readonly volumeBytes: bigint;
  readonly noFence: boolean;
  readonly noBarrier: boolean;
  readonly seed: number;
  /** How the filesystems of restored volumes were checked, or why not. */
  readonly check: string;
  readonly roundsAsked: number;
  readonly rounds: readonly RoundReport[];
  /** Whether those of the buffered writer count. */
  readonly bufferedCounts: boolean;
  /** That count. */
  readonly violations: number;
  readonly violatedRounds: number;
  /** Restored volumes that could not be checked. */
  readonly unchecked: number;
  readonly violationsByKind: Readonly<Record<Stream | 'filesystem', Readonly<Partial<Record<ViolationKind, number>>>>>;
  readonly callMs?: Spread;
  readonly windowMs?: Spread;
  readonly nodeWindowsMs: Readonly<Record<string, Spread>>;
  readonly stallMs: Readonly<Partial<Record<Stream, Spread>>>;
  readonly writers: Readonly<Partial<Record<Stream, WriterReport>>>;
  readonly cleanupFailures: readonly string[];
  readonly durationMs: number;
}

/** What a run has gathered when it ends, however it ends. */
export interface Gathered {
  readonly driver?: DriverFacts;
  readonly check: string;
  readonly bufferedCounts: boolean;
  readonly rounds: readonly RoundReport[];
  readonly writers: ProveReport['writers'];
  readonly failure?: string;
  readonly cleanupFailures: readonly string[];
  readonly durationMs: number;
}

export function reportOf(plan: ProvePlan, gathered: Gathered): ProveReport {
  const { rounds, bufferedCounts, failure, cleanupFailures } = gathered;
  const counts = rounds.map((round) => countedViolations(round, bufferedCounts).length);
  const violations = counts.reduce((sum, count) => sum + count, 0);
  const unchecked = rounds.reduce((sum, round) => sum + round.unchecked.length, 0);
  const complete = failure === undefined && rounds.length === plan.rounds && unchecked === 0;
  const callMs = spreadOf(rounds.map((round) => round.callMs));
  const windowMs = spreadOf(rounds.flatMap((round) => (round.windowMs === undefined ? [] : [round.windowMs])));
  const durable = spreadOf(rounds.map(({ stallMs }) => stallMs.durable));
  const buffered = spreadOf(rounds.map(({ stallMs }) => stallMs.buffered));
  const kindsOf = (where: Stream | 'filesystem') => byKind(rounds.flatMap((round) => round.violations[where]));
  return {
    ...gathered,
    passed: complete && violations === 0 && cleanupFailures.length === 0,
    volumes: plan.volumes,
    nodes: plan.nodes.slice(0, plan.volumes).map(({ name }) => name),
    accessType: plan.accessType,
    volumeBytes: plan.volumeBytes,
    noFence: plan.noFence,
    noBarrier: plan.noBarrier,
    seed: plan.seed,
    roundsAsked: plan.rounds,
    violations,
    violatedRounds: counts.filter((count) => count > 0).length,
    unchecked,
    violationsByKind: {
      durable: kindsOf('durable'),
      buffered: kindsOf('buffered'),
      filesystem: kindsOf('filesystem'),
    },
    ...(callMs && { callMs }),
    ...(windowMs && { windowMs }),
    nodeWindowsMs: nodeWindows(rounds),
    stallMs: { ...(durable && { durable }), ...(buffered && { buffered }) },
  };
}

/** Those that decide over success. */
export function countedViolations({ violations }: RoundReport, bufferedCounts: boolean): readonly Violation[] {
  return [...violations.durable, ...violations.filesystem, ...(bufferedCounts ? violations.buffered : [])];
}

export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  return min === undefined || max === undefined || median === undefined ? undefined : { min, median, max };
}

function nodeWindows(rounds: readonly RoundReport[]): ProveReport['nodeWindowsMs'] {
  const nodes = new Set(rounds.flatMap(({ nodeWindowsMs }) => Object.keys(nodeWindowsMs ?? {})));
  const spreads = [...nodes].map((node) => [
    node,
    spreadOf(rounds.flatMap(({ nodeWindowsMs }) => nodeWindowsMs?.[node] ?? [])),
  ]);
  return Object.fromEntries(spreads) as ProveReport['nodeWindowsMs'];
}

function byKind(violations: readonly Violation[]): Partial<Record<ViolationKind, number>> {
  const counts: Partial<Record<ViolationKind, number>> = {};
  for (const kind of VIOLATION_KINDS) {
    const count = violations.filter((violation) => violation.kind === kind).length;
    if (count > 0) counts[kind] = count;
  }
  return counts;
}

/** For programs; sizes as decimal strings, times in milliseconds. */
export function reportJson(report: ProveReport): string {
  return JSON.stringify(
    report,
    (_, value: unknown) =>
      typeof value === 'bigint'
        ? String(value)
        : typeof value === 'number' && !Number.isInteger(value)
          ? Math.round(value * 1000) / 1000
          : value,
    2,
  );
}
