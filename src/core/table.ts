import { stripVTControlCharacters } from 'node:util';

export interface Column {
  readonly title: string;
  /** Numbers read best to the right; left unless told. */
  readonly align?: 'left' | 'right';
  /** For a table whose rows come one by one. */
  readonly minWidth?: number;
}

export interface TableStyle {
  /** Character of the line under the titles. */
  readonly rule?: string;
  /** Decorates the titles and the rule, for a terminal. */
  readonly head?: (text: string) => string;
  /** Put before every line. */
  readonly indent?: string;
}

/**
 * A table as text: columns as wide as their widest cell, two spaces between them. Cells may carry terminal colours,
 * which take no room. Rows may be shorter than the columns.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { rule = '-', head = (text) => text, indent = '' }: TableStyle = {},
): string {
  const widths = columns.map((column, i) => Math.max(widthOf(column), ...rows.map((row) => width(row[i] ?? ''))));
  return [
    head(line(columns, widths, titlesOf(columns))),
    head(widths.map((length) => rule.repeat(length)).join('  ')),
    ...rows.map((row) => line(columns, widths, row)),
  ]
    .map((text) => indent + text)
    .join('\n');
}

/** One more row of a table whose head is already out: its columns are as wide as their titles and `minWidth` say. */
export function formatRow(
  columns: readonly Column[],
  row: readonly string[],
  { indent = '' }: Pick<TableStyle, 'indent'> = {},
): string {
  return indent + line(columns, columns.map(widthOf), row);
}

function line(columns: readonly Column[], widths: readonly number[], cells: readonly string[]): string {
  return columns
    .map(({ align }, i) => pad(cells[i] ?? '', widths[i] ?? 0, align ?? 'left'))
    .join('  ')
    .trimEnd();
}

function titlesOf(columns: readonly Column[]): string[] {
  return columns.map(({ title }) => title);
}

function widthOf({ title, minWidth }: Column): number {
  return Math.max(minWidth ?? 0, width(title));
}

function pad(text: string, length: number, align: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, length - width(text)));
  return align === 'left' ? text + blanks : blanks + text;
}

/** Characters as a terminal shows them; ours are all one cell wide. */
function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
