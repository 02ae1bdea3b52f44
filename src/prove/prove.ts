/**
 * The consistency check: volumes that depend on each other are written to, group snapshots are taken meanwhile, every
 * member is restored, and what is found is compared with what can have been there at one instant (judge.ts).
 * A pure CSI client: it knows nothing of the driver but what the protocol says.
 */
import { messageOf } from '../core/errors.ts';
import { Cleanup } from './cleanup.ts';
import { type CsiClient, connectCsi } from './csi-client.ts';
import { type DriverFacts, describeDriver } from './driver.ts';
import type { Progress } from './events.ts';
import { type ProveOptions, type ProvePlan, planOf } from './options.ts';
import { Random } from './random.ts';
import { type ProveReport, type RoundReport, reportOf, type WriterReport } from './report.ts';
import type { RestoreMode } from './restore.ts';
import { makeRound } from './round.ts';
import { openSession, quiesce, type Session } from './session.ts';
import type { OrderedWriter } from './writer.ts';

/**
 * Runs the whole check and undoes everything it made, whatever happens.
 * @returns a report also of a run that failed or was cancelled: it then says why, and has the rounds until then
 * @throws DriverError invalid-argument for options that make no sense; unavailable when nobody answers
 */
export async function prove(options: ProveOptions, progress: Progress, signal: AbortSignal): Promise<ProveReport> {
  const plan = planOf(options);
  using clients = new DisposableStack();
  const client = clients.use(await connectCsi(plan.endpoint));
  const nodes: CsiClient[] = [];
  for (const { endpoint } of plan.nodes) nodes.push(clients.use(await connectCsi(endpoint)));
  const started = performance.now();
  const cleanup = new Cleanup();
  const rounds: RoundReport[] = [];
  const gathered: { driver?: DriverFacts; session?: Session; failure?: string } = {};
  try {
    await run(plan, client, nodes, cleanup, rounds, gathered, progress, signal);
  } catch (error) {
    gathered.failure = signal.aborted ? 'cancelled' : failureText(error);
    progress({ kind: 'trouble', text: gathered.failure });
  }
  progress({ kind: 'step', text: 'cleaning up' });
  // First: a driver may need quiet volumes to tell what became of a call that failed.
  if (gathered.session) await quiesce(gathered.session);
  const cleanupFailures = await cleanup.run();
  for (const text of cleanupFailures) progress({ kind: 'trouble', text: `not cleaned up: ${text}` });

  const { driver, session, failure } = gathered;
  return reportOf(plan, {
    ...(driver && { driver }),
    check: session ? checkText(session) : 'not reached',
    bufferedCounts: session?.bufferedCounts ?? false,
    rounds,
    writers: session
      ? { durable: writerReport(session.writers.durable), buffered: writerReport(session.writers.buffered) }
      : {},
    ...(failure !== undefined && { failure }),
    cleanupFailures,
    durationMs: performance.now() - started,
  });
}

async function run(
  plan: ProvePlan,
  client: CsiClient,
  nodes: readonly CsiClient[],
  cleanup: Cleanup,
  rounds: RoundReport[],
  gathered: { driver?: DriverFacts; session?: Session },
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const driver = await describeDriver(client, signal);
  gathered.driver = driver;
  progress({ kind: 'step', text: `${driver.name} ${driver.version} answers` });
  if (!driver.groups) progress({ kind: 'note', text: 'the driver has no group snapshots: they are taken one by one' });
  const session = await openSession(plan, client, nodes, driver, cleanup, progress, signal);
  gathered.session = session;
  progress({ kind: 'note', text: checkText(session) });
  progress({ kind: 'step', text: `taking ${plan.rounds} group snapshots` });
  const random = new Random(plan.seed);
  for (let index = 0; index < plan.rounds; index++) {
    rounds.push(await makeRound(session, index, random, cleanup, progress, signal));
  }
}

/** The same on all nodes, as far as one driver is at work. */
function checkText({ restorers }: Session): string {
  const mode: RestoreMode = restorers[0]?.mode ?? { kind: 'raw' };
  switch (mode.kind) {
    case 'checked':
      return `every restored ${mode.fsType} is checked, read-only, before anything else mounts it`;
    case 'mounted':
      return `no filesystem check applies: ${mode.why}`;
    case 'raw':
      return 'no filesystem check applies: raw block volumes';
  }
}

function writerReport({ mode, count, histogram }: OrderedWriter): WriterReport {
  return { mode, numbers: count, histogram };
}

/** With its causes: the message of the outermost rarely says it all. */
function failureText(error: unknown): string {
  const cause = Error.isError(error) ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${failureText(cause)}`;
}
