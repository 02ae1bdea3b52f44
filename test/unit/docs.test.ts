/** The documents list what the code has: an option, code or metric that is missing there fails here. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { OPTIONS, type OptionRow } from '../../src/app/options.ts';
import { CONDITIONS } from '../../src/core/health.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFile(path.join(ROOT, file), 'utf8');

/** The words in backquotes that open the rows of a document's tables. */
function rowsOf(document: string): ReadonlySet<string> {
  const rows = document.split('\n').filter((line) => line.startsWith('| `'));
  return new Set(
    rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')),
  );
}

describe('docs', () => {
  test('parameters.md lists every option, and no other', async () => {
    const options = Object.entries(OPTIONS).filter(([, row]: [string, OptionRow<unknown>]) => !row.hidden);
    const listed = [...rowsOf(await read('docs/parameters.md'))].filter((name) => !name.startsWith('csi.'));
    expect(new Set(listed)).toEqual(new Set(options.map(([key]) => key)));
  });

  test('errors.md lists every code, and no other', async () => {
    const table = /GRPC_CODES = \{(.*?)\} as const/s.exec(await read('src/rpc/status.ts'))?.[1] ?? '';
    const codes = [...table.matchAll(/^\s+'?([a-z-]+)'?: status\./gm)].map((match) => match[1] ?? '');
    expect(codes.length).toBeGreaterThan(10);
    expect(new Set([...rowsOf(await read('docs/errors.md'))])).toEqual(new Set(codes));
  });

  test('health.md lists every reason with its status, and no other', async () => {
    const rows = (await read('docs/health.md')).matchAll(/^\| `(\w+)` \| (\w+) \|/gm);
    const listed = [...rows].map(([, reason, status = '']) => [reason, status.toLowerCase().replace('_', '-')]);
    expect(Object.fromEntries(listed)).toEqual(CONDITIONS);
    expect(listed).toHaveLength(Object.keys(CONDITIONS).length);
  });

  test('metrics.md lists every metric, and no other', async () => {
    const metrics = [...(await read('src/obs/metrics.ts')).matchAll(/name: '(cofferdam_\w+)'/g)].map(
      (match) => match[1],
    );
    expect(new Set([...rowsOf(await read('docs/metrics.md'))])).toEqual(new Set(metrics));
  });
});
