import { setTimeout as sleep } from 'node:timers/promises';
import { mapLimited } from '../core/concurrency.ts';
import { messageOf } from '../core/errors.ts';
import { NO_BARRIER_PARAMETER, NO_FENCE_PARAMETER } from '../core/names.ts';
import type { Cleanup } from './cleanup.ts';
import type { Progress } from './events.ts';
import { judge, type Violation, type WriterFacts } from './judge.ts';
import { ordersOf, type RoundOrders } from './orders.ts';
import type { Random } from './random.ts';
import { STREAMS, type Stream } from './record.ts';
import type { RoundReport, Unchecked } from './report.ts';
import type { Restored, Restorer } from './restore.ts';
import type { Session } from './session.ts';
import { type TakenGroup, takeGroup } from './snapshots.ts';

/** Calls are made at no fixed time after a number. */
const MOST_DELAY_MS = 20;

/** Takes one group snapshot while the writers run, restores every member and judges. @param index counted from 0 */
export async function makeRound(
  session: Session,
  index: number,
  random: Random,
  cleanup: Cleanup,
  progress: Progress,
  signal: AbortSignal,
): Promise<RoundReport> {
  const { plan, writers, bufferedCounts } = session;
  const orders = ordersOf(index, plan.volumes, random);
  for (const stream of STREAMS) await writers[stream].useOrder(orders.writer.order, signal);
  await sleep(random.below(MOST_DELAY_MS), undefined, { signal });

  const scope = cleanup.scope();
  const cut = await timedCut(session, index, orders, scope, signal);
  const windows = await windowsFor(cut.taken, session, progress);
  const started = performance.now();
  const restored = await restoreAll(session, index, cut.taken, cleanup, progress, signal);
  const failure = await scope.release();
  if (failure !== undefined) progress({ kind: 'trouble', text: failure });

  const numbersOf = (stream: Stream) =>
    restored.map(({ readings: { [stream]: reading } }) => (typeof reading === 'string' ? undefined : reading?.number));
  const judgeOne = (stream: Stream) =>
    judge(
      restored.map(({ readings }) => readings[stream]),
      cut.facts[stream],
    );
  const report: RoundReport = {
    round: index + 1,
    orders,
    ...(cut.taken.groupId !== undefined && { groupId: cut.taken.groupId }),
    retries: cut.retries,
    callMs: cut.callMs,
    ...(windows.size > 0 && { windowMs: Math.max(...windows.values()), nodeWindowsMs: Object.fromEntries(windows) }),
    stallMs: cut.stallMs,
    quietStallMs: cut.quietStallMs,
    acknowledged: both((stream) => cut.facts[stream].acknowledged),
    found: both(numbersOf),
    violations: { ...both(judgeOne), filesystem: restored.flatMap(uncleanOf) },
    unchecked: restored.flatMap(uncheckedOf),
    verifyMs: performance.now() - started,
  };
  progress({ kind: 'round', report, of: plan.rounds, bufferedCounts });
  return report;
}

interface Cut {
  readonly taken: TakenGroup;
  readonly facts: Readonly<Record<Stream, WriterFacts>>;
  readonly retries: readonly string[];
  readonly callMs: number;
  readonly stallMs: Readonly<Record<Stream, number>>;
  readonly quietStallMs: Readonly<Record<Stream, number>>;
}

async function timedCut(
  { client, driver, plan, name, volumes, writers, load }: Session,
  index: number,
  orders: RoundOrders,
  scope: ReturnType<Cleanup['scope']>,
  signal: AbortSignal,
): Promise<Cut> {
  const retries: string[] = [];
  const request = {
    name: `${name}-group${index + 1}`,
    volumeIds: orders.members.order.map((volume) => volumes[volume]?.id ?? ''),
    parameters: {
      ...plan.snapshotParameters,
      ...(plan.noFence && { [NO_FENCE_PARAMETER]: 'true' }),
      ...(plan.noBarrier && { [NO_BARRIER_PARAMETER]: 'true' }),
    },
    onRetry: (error: unknown) => retries.push(messageOf(error)),
  };
  load?.assertRunning();
  signal.throwIfAborted();
  const quietStallMs = both((stream) => writers[stream].takeLongestStallMs());
  // Nothing may stand between these and the call, and between the call and what follows it.
  const marks = both((stream) => writers[stream].mark());
  const started = performance.now();
  const taken = await takeGroup(client, driver, request, scope);
  const callMs = performance.now() - started;
  const facts = both((stream) => writers[stream].facts(marks[stream]));
  // The stall of a write that was held up ends after the call.
  for (const stream of STREAMS) await writers[stream].advance(1, signal);
  return {
    taken,
    facts,
    retries,
    callMs,
    stallMs: both((stream) => writers[stream].takeLongestStallMs()),
    quietStallMs,
  };
}

/** By node. What can't be looked up is no reason to end the run. */
async function windowsFor(
  { groupId }: TakenGroup,
  { plan }: Session,
  progress: Progress,
): Promise<ReadonlyMap<string, number>> {
  try {
    return (groupId === undefined ? undefined : await plan.windowsOf?.(groupId)) ?? new Map();
  } catch (error) {
    progress({ kind: 'trouble', text: `the evidence of ${groupId} can't be had: ${messageOf(error)}` });
    return new Map();
  }
}

async function restoreAll(
  { plan, name, run, volumes, restorers }: Session,
  index: number,
  { snapshotIds }: TakenGroup,
  cleanup: Cleanup,
  progress: Progress,
  signal: AbortSignal,
): Promise<Restored[]> {
  return await mapLimited(volumes, plan.concurrency, async ({ id, bytes, node }, volume) => {
    signal.throwIfAborted();
    const scope = cleanup.scope();
    const request = {
      name: `${name}-group${index + 1}-vol${volume + 1}`,
      snapshotId: snapshotIds.get(id) ?? '',
      bytes,
      volume,
      run,
    };
    const restored = await (restorers[node] as Restorer).restore(request, scope, signal);
    const failure = await scope.release();
    if (failure !== undefined) progress({ kind: 'trouble', text: failure });
    return restored;
  });
}

function uncleanOf({ unclean }: Restored, volume: number): Violation[] {
  return unclean === undefined ? [] : [{ kind: 'unclean', volume, detail: unclean }];
}

function uncheckedOf({ unchecked }: Restored, volume: number): Unchecked[] {
  return unchecked === undefined ? [] : [{ volume, reason: unchecked }];
}

function both<T>(of: (stream: Stream) => T): Readonly<Record<Stream, T>> {
  return { durable: of('durable'), buffered: of('buffered') };
}
