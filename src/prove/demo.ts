/** The check in small, told so that somebody who sees it for the first time understands what is shown. */
import { type Column, formatRow, formatTable } from '../core/table.ts';
import type { ProveEvent } from './events.ts';
import type { ProveOptions } from './options.ts';
import { formatMs, paint, rule } from './paint.ts';
import { prove } from './prove.ts';
import { countedViolations, type ProveReport, type RoundReport } from './report.ts';

export interface DemoOptions extends Pick<ProveOptions, 'endpoint' | 'nodes' | 'workFolder' | 'windowsOf' | 'seed'> {
  /** Group snapshots under the fence. */
  readonly rounds?: number;
  /**
   * Group snapshots that must fail, for comparison: without the fence, or, on several nodes, without the barrier between
   * them. Our own driver's test build only.
   */
  readonly controlRounds?: number;
}

const LEAST_VOLUMES = 3;
const ROUNDS = 9;
const INDENT = '   ';

function columnsFor(volumes: number, nodes: number): readonly Column[] {
  const numbers = Array.from({ length: volumes }, (_, i) => `volume ${i + 1}`);
  return [
    { title: 'group', align: 'right' },
    { title: 'written in order', minWidth: 16 },
    ...numbers.map((title) => ({ title, align: 'right' as const, minWidth: 8 })),
    // `63, 68, 104 ms`
    { title: nodes > 1 ? 'fence on each node' : 'fence', align: 'right', minWidth: 2 + 5 * nodes },
    { title: 'longest stall', align: 'right', minWidth: 7 },
    { title: 'verdict' },
  ];
}

/** @returns true when the check held */
export async function demo(options: DemoOptions, print: (text: string) => void, signal: AbortSignal): Promise<boolean> {
  const { rounds = ROUNDS, controlRounds = 0, windowsOf, ...rest } = options;
  const nodes = options.nodes?.length ?? 1;
  const volumes = Math.max(LEAST_VOLUMES, nodes);
  const columns = columnsFor(volumes, nodes);
  const say = (text: string) => print(`${text}\n`);
  const check = async (control: Pick<ProveOptions, 'noFence' | 'noBarrier'>, count: number) => {
    const shared = { ...rest, volumes, rounds: count, accessType: 'mount' as const, ...control };
    // Without a fence there is no window to show.
    const settings = control.noFence || !windowsOf ? shared : { ...shared, windowsOf };
    let begun = false;
    const report = await prove(
      settings,
      (event) => {
        if (event.kind === 'round' && !begun) say(formatTable(columns, [], { ...HEAD, indent: INDENT }));
        begun ||= event.kind === 'round';
        showEvent(event, columns, say);
      },
      signal,
    );
    say('');
    return report;
  };

  say(introduction(nodes));
  const fenced = await check({}, rounds);
  if (fenced.failure !== undefined || controlRounds === 0) {
    say(conclusion(fenced));
    return fenced.passed;
  }
  const what = nodes > 1 ? 'barrier' : 'fence';
  say(nodes > 1 ? withoutBarrier() : withoutFence());
  const control = await check(nodes > 1 ? { noBarrier: true } : { noFence: true }, controlRounds);
  say(conclusion(fenced));
  say(comparison(control, what));
  return fenced.passed && control.cleanupFailures.length === 0;
}

const HEAD = { rule: rule(), head: (text: string) => paint('dim', text) };

function introduction(nodes: number): string {
  const made =
    nodes > 1
      ? [
          `${paint('bold', '0.')} ${nodes} nodes and a controller are started, each in a network of its own on this machine, with`,
          '   certificates between them. Every node has volumes of its own, and every group is over all nodes.',
        ]
      : [];
  return [
    paint('bold', 'Cofferdam: snapshots of many volumes at one instant, while they are written to'),
    '',
    ...made,
    `${paint('bold', '1.')} ${nodes > LEAST_VOLUMES ? 'One volume on each node is' : 'Three volumes are'} made and mounted. A writer puts number 1 on the first, then on the second,`,
    '   then on the third; then 2 on each, then 3, as fast as it can, every write on disk before the',
    '   next one starts. It changes the order of the volumes from time to time. A second writer does',
    '   the same and leaves its writes to the page cache.',
    `${paint('bold', '2.')} Meanwhile group snapshots of the three are taken. The fence holds all writes for a moment.`,
    `${paint('bold', '3.')} Each snapshot is restored to new volumes, their filesystems are checked, the numbers are read.`,
    '   Along the order of writing, a number may be followed by itself or, once, by the one before.',
    '   Any other row shows a state that never was: a database would find its log behind its data.',
    '',
  ].join('\n');
}

function withoutFence(): string {
  const text = 'The same without the fence, one snapshot after the other, as a driver takes them that has none:';
  return `${paint('bold', '4.')} ${text}\n`;
}

function withoutBarrier(): string {
  const text = 'The same without the barrier: every node freezes, cuts and thaws by itself, one after the other:';
  return `${paint('bold', '4.')} ${text}\n`;
}

function showEvent(event: ProveEvent, columns: readonly Column[], say: (text: string) => void): void {
  switch (event.kind) {
    case 'round':
      say(formatRow(columns, rowOf(event.report, event.bufferedCounts), { indent: INDENT }));
      break;
    case 'trouble':
      say(`${INDENT}${paint('yellow', `! ${event.text.trim()}`)}`);
      break;
    case 'step':
    case 'note':
      break;
  }
}

function rowOf(round: RoundReport, bufferedCounts: boolean): string[] {
  const wrong = new Set(round.violations.durable.map(({ volume }) => volume));
  const numbers = round.found.durable.map((number, volume) => {
    const text = number === undefined ? 'nothing' : String(number);
    return wrong.has(volume) ? paint('red', text) : text;
  });
  const order = round.orders.writer.order.map((volume) => volume + 1).join(', ');
  return [
    String(round.round),
    order,
    ...numbers,
    fenceOf(round),
    formatMs(Math.max(round.stallMs.durable, round.stallMs.buffered)),
    verdictOf(round, bufferedCounts),
  ];
}

/** On every node that took part. */
function fenceOf({ windowMs, nodeWindowsMs = {} }: RoundReport): string {
  const windows = Object.values(nodeWindowsMs);
  return windows.length > 1 ? `${windows.map((ms) => ms.toFixed(0)).join(', ')} ms` : formatMs(windowMs);
}

/** The first violation stands for all. */
function verdictOf(round: RoundReport, bufferedCounts: boolean): string {
  const [first] = countedViolations(round, bufferedCounts);
  const [skipped] = round.unchecked;
  if (!first && skipped) return paint('yellow', `volume ${skipped.volume + 1} could not be checked: ${skipped.reason}`);
  if (!first) return paint('green', 'consistent');
  const writer = round.violations.buffered.includes(first) ? 'second writer: ' : '';
  return paint('red', `BROKEN: ${writer}volume ${first.volume + 1} ${first.detail}`);
}

function conclusion(report: ProveReport): string {
  const { passed, failure, rounds, violatedRounds, unchecked, windowMs, cleanupFailures } = report;
  if (failure !== undefined)
    return paint(['bold', 'red'], `The demonstration could not be finished: ${failure.trim()}.`);
  if (violatedRounds > 0) {
    return paint(
      ['bold', 'red'],
      `${violatedRounds} of ${rounds.length} group snapshots are BROKEN: the fence does not hold.`,
    );
  }
  if (unchecked > 0) {
    return paint(['bold', 'red'], `Nothing is proved: ${unchecked} restored volumes could not be checked.`);
  }
  const fence = windowMs
    ? ` Writes were held for ${formatMs(windowMs.median)}, ${formatMs(windowMs.max)} at most.`
    : '';
  const held = `All ${rounds.length} group snapshots are consistent: each shows its volumes as they were at one instant.${fence}`;
  const left = `But ${cleanupFailures.length} things could not be cleaned up.`;
  return passed ? paint(['bold', 'green'], held) : `${held} ${paint('red', left)}`;
}

function comparison({ violatedRounds, rounds }: ProveReport, what: string): string {
  return violatedRounds > 0
    ? `Without the ${what} ${violatedRounds} of ${rounds.length} are broken: the check can fail.`
    : `Without the ${what} none of ${rounds.length} was caught broken: luck, which is no promise.`;
}
