import { formatTable } from '../../src/core/table.ts';
import type { Section } from './part.ts';

export function renderSection({ title, columns, rows, aims, notes }: Section): string {
  const verdicts = aims.map(
    ({ what, aim, measured, reached }) =>
      `  ${reached ? 'reached' : 'MISSED '}  ${what}: aim ${aim}, measured ${measured}`,
  );
  return [
    `\n${title}\n`,
    formatTable(columns, rows, { indent: '  ' }),
    ...(verdicts.length > 0 ? ['', ...verdicts] : []),
    ...notes.map((note) => `  ${note}`),
    '',
  ].join('\n');
}
