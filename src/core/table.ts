import { stripVTControlCharacters } from 'node:util';

export interface Column {
  readonly title: string;
  /** Numbers read best to the right; left unless told. */
  readonly align?: 'left' | 'right';
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
  const widths = columns.map(({ title }, i) => Math.max(width(title), ...rows.map((row) => width(row[i] ?? ''))));
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, i) => pad(cells[i] ?? '', widths[i] ?? 0, align ?? 'left'))
      .join('  ')
      .trimEnd();
  return [
    head(line(columns.map(({ title }) => title))),
    head(widths.map((length) => rule.repeat(length)).join('  ')),
    ...rows.map(line),
  ]
    .map((text) => indent + text)
    .join('\n');
}

function pad(text: string, length: number, align: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, length - width(text)));
  return align === 'left' ? text + blanks : blanks + text;
}

/** Characters as a terminal shows them; ours are all one cell wide. */
function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
