import type { Section } from './part.ts';
import { mebibytes, ms, times } from './stats.ts';

export interface CallRow {
  readonly title: string;
  /** In the order of the numbers of nodes; undefined where it was not measured. */
  readonly figures: readonly ({ readonly medianMs: number; readonly p99Ms: number } | undefined)[];
}

export interface SizeRow {
  readonly what: string;
  readonly kind: 'bytes' | 'rate';
  readonly values: readonly number[];
}

/** Most to least nodes. */
const FLAT = 1.5;

export function callSection(sizes: readonly number[], calls: readonly CallRow[]): Section {
  const ratioOf = ({ figures }: CallRow): number => {
    const measured = figures.filter((each) => each !== undefined);
    return (measured.at(-1)?.medianMs ?? Number.NaN) / (measured[0]?.medianMs ?? Number.NaN);
  };
  const [worst] = calls.toSorted((a, b) => ratioOf(b) - ratioOf(a));
  return {
    title: 'Calls by the number of nodes, a million snapshots in all (ms, median and 99th percentile)',
    columns: [
      { title: 'CALL' },
      ...sizes.flatMap((size) => [`${size} NODES`, 'P99']).map((title) => ({ title, align: 'right' as const })),
      { title: 'RATIO', align: 'right' },
    ],
    rows: calls.map((row) => [
      row.title,
      ...row.figures.flatMap((each) => (each ? [ms(each.medianMs), ms(each.p99Ms)] : ['', ''])),
      times(ratioOf(row), 1),
    ]),
    aims: worst
      ? [
          {
            what: `a call over the most nodes to the same over the least, the worst of all (${worst.title})`,
            aim: `${FLAT}x at most`,
            measured: times(ratioOf(worst), 1),
            reached: ratioOf(worst) <= FLAT,
          },
        ]
      : [],
    notes: [
      'RATIO is of medians, the most nodes to the least. Calls are about one of 10 nodes; connected but for the first row.',
    ],
    data: calls,
  };
}

export function sizeSection(sizes: readonly number[], rows: readonly SizeRow[]): Section {
  const shown = (kind: SizeRow['kind'], value: number) =>
    kind === 'bytes' ? mebibytes(value) : String(Math.round(value));
  return {
    title: 'The controller by the number of nodes',
    columns: [
      { title: '' },
      ...[...sizes.map((size) => `${size} NODES`), 'RATIO'].map((title) => ({ title, align: 'right' as const })),
    ],
    rows: rows.map(({ what, kind, values }) => [
      what,
      ...values.map((value) => shown(kind, value)),
      times(values.at(-1) ?? Number.NaN, values[0] ?? Number.NaN),
    ]),
    aims: [],
    notes: [
      'Memory that the interpreter had once it keeps: with 10 nodes as with 1000 it does not tell what is needed.',
    ],
    data: rows,
  };
}
