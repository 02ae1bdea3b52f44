/** The run as text for people: a line for each thing that happens, and the final tables. */
import { formatBytes } from '../core/bytes.ts';
import { formatTable } from '../core/table.ts';
import type { ProveEvent } from './events.ts';
import { VIOLATION_KINDS, type Violation } from './judge.ts';
import { formatMs, paint, rule } from './paint.ts';
import { STREAMS, type Stream } from './record.ts';
import { countedViolations, type ProveReport, type RoundReport, type Spread, type WriterReport } from './report.ts';

/** Of violations, and of what could not be checked. */
const SHOWN = 5;

/** @returns one line, with its end */
export function renderProgress(event: ProveEvent): string {
  switch (event.kind) {
    case 'step':
      return `${paint('bold', event.text)}\n`;
    case 'note':
      return `  ${paint('dim', event.text)}\n`;
    case 'trouble':
      return `  ${paint('yellow', `! ${event.text.trim()}`)}\n`;
    case 'round':
      return `  ${roundLine(event.report, event.of, event.bufferedCounts)}\n`;
  }
}

function roundLine(round: RoundReport, of: number, bufferedCounts: boolean): string {
  const counted = countedViolations(round, bufferedCounts);
  const { writer, members } = round.orders;
  const facts = [
    `round ${String(round.round).padStart(String(of).length)}/${of}`,
    `written ${writer.kind.padEnd(8)}`,
    `named ${members.kind.padEnd(8)}`,
    `call ${formatMs(round.callMs).padStart(7)}`,
    ...(round.windowMs === undefined ? [] : [`window ${formatMs(round.windowMs).padStart(7)}`]),
    `stall ${formatMs(round.stallMs.durable).padStart(7)}`,
    ...(round.retries.length > 0 ? [`retried ${round.retries.length}x`] : []),
  ];
  return [...facts, roundVerdict(round, counted)].join('  ');
}

function roundVerdict({ unchecked }: RoundReport, counted: readonly Violation[]): string {
  if (counted.length > 0) return paint('red', `VIOLATED ${tally(counted)}`);
  return unchecked.length > 0 ? paint('yellow', `not checked ${unchecked.length}`) : paint('green', 'consistent');
}

/** All that is to be said at the end, with the end of its last line. */
export function renderReport(report: ProveReport): string {
  const sections = [
    heading(report),
    timesTable(report),
    writersTable(report),
    violationsTable(report),
    verdict(report),
  ];
  return `\n${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function heading(report: ProveReport): string {
  const { driver, volumes, nodes, volumeBytes, accessType, check, seed } = report;
  const without = missingPart(report);
  const control = without === undefined ? '' : paint('yellow', ` WITHOUT ${without} (negative control)`);
  const name = driver ? `${driver.name} ${driver.version}` : 'the driver';
  const how = accessType === 'mount' ? 'mounted' : 'raw block';
  return [
    paint('bold', `Group snapshots of ${name}${control}`),
    `${volumes} ${how} volumes of ${formatBytes(volumeBytes)}${nodes.length > 1 ? ` on ${nodes.length} nodes` : ''}, seed ${seed}; ${check}`,
  ].join('\n');
}

function missingPart({ noFence, noBarrier }: ProveReport): string | undefined {
  if (noFence) return 'THE FENCE';
  return noBarrier ? 'THE BARRIER BETWEEN NODES' : undefined;
}

function timesTable({ callMs, windowMs, nodeWindowsMs, stallMs, rounds, noFence }: ProveReport): string {
  if (!callMs) return '';
  const row = (title: string, spread: Spread | undefined) =>
    spread ? [[title, formatMs(spread.min), formatMs(spread.median), formatMs(spread.max)]] : [];
  const perNode = Object.entries(nodeWindowsMs).length > 1 ? Object.entries(nodeWindowsMs) : [];
  const columns = [`over ${rounds.length} rounds`, 'min', 'median', 'max'].map((title, i) => ({
    title,
    align: i === 0 ? ('left' as const) : ('right' as const),
  }));
  return table(columns, [
    ...row('call for the group snapshot', callMs),
    ...row(noFence ? 'first to last cut, by the evidence' : "fence, by the driver's evidence", windowMs),
    ...perNode.flatMap(([node, spread]) => row(`  on ${node}`, spread)),
    ...row('longest stall of the durable writer', stallMs.durable),
    ...row('longest stall of the buffered writer', stallMs.buffered),
  ]);
}

function writersTable({ writers }: ProveReport): string {
  const rows = STREAMS.flatMap((stream) => {
    const writer = writers[stream];
    if (!writer) return [];
    const { mode, numbers } = writer;
    return [
      [stream, mode, String(numbers), `< ${formatMs(quantile(writer, 0.5))}`, `< ${formatMs(quantile(writer, 0.99))}`],
    ];
  });
  if (rows.length === 0) return '';
  const columns = [
    { title: 'writer' },
    { title: 'made durable by' },
    { title: 'numbers', align: 'right' as const },
    { title: 'half of writes', align: 'right' as const },
    { title: '99 %', align: 'right' as const },
  ];
  return table(columns, rows);
}

/** Milliseconds below which this share of writes took, as far as a histogram in powers of two can say. */
function quantile({ histogram }: WriterReport, share: number): number {
  let left = histogram.reduce((sum, count) => sum + count, 0) * share;
  const bucket = histogram.findIndex((count) => {
    left -= count;
    return left <= 0;
  });
  return 2 ** (bucket + 1) / 1000;
}

function violationsTable({ violationsByKind, bufferedCounts, rounds }: ProveReport): string {
  const { durable, buffered, filesystem } = violationsByKind;
  const rows = VIOLATION_KINDS.flatMap((kind) => {
    const counts = [durable[kind], buffered[kind], filesystem[kind]];
    return counts.some(Boolean) ? [[kind, ...counts.map((count) => String(count ?? 0))]] : [];
  });
  if (rows.length === 0) return '';
  const uncounted = bufferedCounts ? '' : ' (not counted)';
  const columns = [
    { title: 'violation' },
    { title: 'durable writes', align: 'right' as const },
    { title: `buffered writes${uncounted}`, align: 'right' as const },
    { title: 'filesystems', align: 'right' as const },
  ];
  // Those of durable writes first: they say most.
  const places = [...(['durable', 'filesystem'] as const), ...(bufferedCounts ? (['buffered'] as const) : [])];
  const examples = places.flatMap((place) => rounds.flatMap((round) => exampleLines(round, place)));
  return [table(columns, rows), ...(examples.length > 0 ? [firstOf(examples).join('\n')] : [])].join('\n\n');
}

function firstOf(lines: readonly string[]): readonly string[] {
  const more = lines.length - SHOWN;
  return more > 0 ? [...lines.slice(0, SHOWN), `  and ${more} more; --json has all`] : lines;
}

function exampleLines({ round, violations }: RoundReport, place: Stream | 'filesystem'): string[] {
  const where = place === 'filesystem' ? '' : `${place} writes, `;
  return violations[place].map(
    ({ kind, volume, detail }) => `  round ${round}, ${where}${kind}: volume ${volume + 1} ${detail}`,
  );
}

function verdict({
  passed,
  violations,
  violatedRounds,
  unchecked,
  rounds,
  roundsAsked,
  failure,
  cleanupFailures,
}: ProveReport): string {
  const lines = [
    `${violations} ${violations === 1 ? 'violation' : 'violations'} in ${violatedRounds} of ${rounds.length} group snapshots`,
  ];
  if (unchecked > 0) {
    lines.push(`${unchecked} restored ${unchecked === 1 ? 'volume' : 'volumes'} could not be checked:`);
    lines.push(...firstOf(rounds.flatMap(uncheckedLines)));
  }
  if (failure !== undefined) lines.push(`ended after ${rounds.length} of ${roundsAsked} rounds: ${failure.trim()}`);
  if (cleanupFailures.length > 0) lines.push(`${cleanupFailures.length} things could not be cleaned up:`);
  lines.push(...cleanupFailures.map((text) => `  ${text.trim()}`));
  const end = passed ? paint(['bold', 'green'], 'PASSED') : paint(['bold', 'red'], 'FAILED');
  return `${end}  ${lines.join('\n')}`;
}

function uncheckedLines({ round, unchecked }: RoundReport): string[] {
  return unchecked.map(({ volume, reason }) => `  round ${round}, volume ${volume + 1}: ${reason}`);
}

function tally(violations: readonly Violation[]): string {
  const kinds = VIOLATION_KINDS.filter((kind) => violations.some((violation) => violation.kind === kind));
  return kinds.map((kind) => `${kind} ${violations.filter((violation) => violation.kind === kind).length}`).join(', ');
}

function table(columns: Parameters<typeof formatTable>[0], rows: Parameters<typeof formatTable>[1]): string {
  return formatTable(columns, rows, { rule: rule(), head: (text) => paint('dim', text) });
}
