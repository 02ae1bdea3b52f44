/** The linters refuse what ARCHITECTURE.md forbids: every pair of rooms is tried, from the room and from a folder in it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Finding, LintCopy } from '../support/lint-copy.ts';

const ROWS = houseTable();
const ROOMS = [...ROWS.keys()];
/** Linted rooms: what is generated is not. */
const IMPORTERS = ROOMS.filter((room) => room !== 'gen');

const OWNERS: Readonly<Record<string, string>> = {
  execa: 'host',
  koffi: 'host',
  'node:child_process': 'host',
  '@grpc/grpc-js': 'rpc',
  '@grpc/proto-loader': 'rpc',
  pino: 'obs',
  'prom-client': 'obs',
  commander: 'app',
  yaml: 'app',
};

function houseTable(): ReadonlyMap<string, readonly string[]> {
  const text = readFileSync(path.resolve(import.meta.dirname, '../../ARCHITECTURE.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \|.*\| ([\w, ]+) \|$/gm)].map(([, room = '', may = '']) => ({
    room,
    may,
  }));
  const all = rows.map(({ room }) => room);
  return new Map(
    rows.map(({ room, may }) => [room, may === 'everything' ? all : may === 'nothing' ? [] : may.split(', ')]),
  );
}

const importOf = (from: string) => `import { x } from '${from}';\nexport const y = x;\n`;

describe('the import table', () => {
  let findings: readonly Finding[];
  let refused: ReadonlySet<string>;

  beforeAll(() => {
    using copy = new LintCopy();
    copy.write('src/unheard-of/to-core.ts', importOf('../core/x.ts'));
    copy.write('src/main.ts', ROOMS.map((room) => `export * from './${room}/x.ts';`).join('\n'));
    for (const room of IMPORTERS) {
      for (const other of ROOMS) {
        copy.write(`src/${room}/to-${other}.ts`, importOf(`../${other}/x.ts`));
        copy.write(`src/${room}/inner/to-${other}.ts`, importOf(`../../${other}/x.ts`));
      }
      for (const name of [...Object.keys(OWNERS), 'node:fs', 'node:fs/promises', 'left-pad']) {
        const file = `package-${name.replace(/\W/g, '-')}.ts`;
        copy.write(`src/${room}/${file}`, importOf(name));
        copy.write(`src/${room}/inner/${file}`, importOf(name));
      }
      copy.write(`src/${room}/dynamic.ts`, `export const y = import('../main.ts');\n`);
      copy.write(`src/${room}/re-export.ts`, `export * from '../../test/support/x.ts';\n`);
      copy.write(`src/${room}/inner/re-export.ts`, `export * from '../../../test/support/x.ts';\n`);
      copy.write(`src/${room}/neighbour.ts`, importOf('./inner/x.ts'));
      copy.write(`src/${room}/inner/neighbour.ts`, importOf('../x.ts'));
    }
    findings = copy.biome('--only=style/noRestrictedImports');
    refused = new Set(findings.map(({ file }) => file));
  });

  test('has a row for every room, and the linter sees files', () => {
    expect(ROOMS.length).toBeGreaterThanOrEqual(13);
    expect(refused.size).toBeGreaterThan(100);
  });

  test.each(IMPORTERS)('%s imports the rooms of its row and no other', (room) => {
    const allowed = ROWS.get(room) ?? [];
    for (const other of ROOMS.filter((name) => name !== room)) {
      const verdict = !allowed.includes(other);
      expect([other, refused.has(`src/${room}/to-${other}.ts`)]).toEqual([other, verdict]);
      expect([other, refused.has(`src/${room}/inner/to-${other}.ts`)]).toEqual([other, verdict]);
    }
  });

  test.each(IMPORTERS)('%s imports its own packages and no other', (room) => {
    for (const [name, owner] of Object.entries({ ...OWNERS, 'left-pad': 'nobody' })) {
      const file = `package-${name.replace(/\W/g, '-')}.ts`;
      expect([name, refused.has(`src/${room}/${file}`)]).toEqual([name, owner !== room]);
      expect([name, refused.has(`src/${room}/inner/${file}`)]).toEqual([name, owner !== room]);
    }
    expect(refused).not.toContain(`src/${room}/package-node-fs.ts`);
    expect(refused).not.toContain(`src/${room}/package-node-fs-promises.ts`);
  });

  test.each(IMPORTERS)('%s imports itself, but neither main nor tests', (room) => {
    expect(refused).not.toContain(`src/${room}/neighbour.ts`);
    expect(refused).not.toContain(`src/${room}/inner/neighbour.ts`);
    expect(refused).toContain(`src/${room}/dynamic.ts`);
    expect(refused).toContain(`src/${room}/re-export.ts`);
    expect(refused).toContain(`src/${room}/inner/re-export.ts`);
  });

  test('a room without a row imports nothing', () => {
    expect(refused).toContain('src/unheard-of/to-core.ts');
  });

  test('main imports app', () => {
    expect(findings.filter(({ file }) => file === 'src/main.ts')).toHaveLength(ROOMS.length - 1);
  });
});

describe('rules of the house', () => {
  const VIOLATIONS: readonly (readonly [rule: string, file: string, text: string])[] = [
    ['lint/suspicious/noConsole', 'src/csi/console.ts', `export const f = () => console.log('x');\n`],
    ['lint/style/noProcessEnv', 'src/csi/env.ts', 'export const home = process.env;\n'],
    ['lint/complexity/noCommaOperator', 'src/app/comma.ts', `export const s = [('SIGINT', 'SIGTERM')];\n`],
    ['lint/suspicious/noExplicitAny', 'src/csi/any.ts', 'export const f = (x: any) => x;\n'],
    ['lint/style/noDefaultExport', 'src/csi/default.ts', 'export default 1;\n'],
    ['lint/style/noExcessiveLinesPerFile', 'src/csi/long.ts', `${'// line\n'.repeat(251)}export const x = 1;\n`],
    ['lint/style/useFilenamingConvention', 'src/csi/camelCase.ts', 'export const x = 1;\n'],
    ['lint/suspicious/useArraySortCompare', 'src/csi/sort.ts', 'export const s = [10, 9].sort();\n'],
    ['lint/style/useThrowOnlyError', 'src/csi/throw.ts', `export function f() {\n  throw 'x';\n}\n`],
    ['lint/suspicious/noSkippedTests', 'test/unit/skip.test.ts', `test.skip('x', () => undefined);\n`],
    ['lint/suspicious/noFocusedTests', 'test/unit/only.test.ts', `test.only('x', () => undefined);\n`],
  ];
  const CYCLE = ['src/csi/a.ts', 'src/csi/b.ts'] as const;
  const ALLOWED: readonly (readonly [file: string, text: string])[] = [
    ['src/app/env.ts', `export const home = process.env;\n`],
    ['src/app/console.ts', `export const f = () => console.log('x');\n`],
    ['src/prove/render-table.ts', `export const f = () => console.log('x');\n`],
    ['src/csi/short.ts', `${'// line\n'.repeat(200)}export const x = 1;\n`],
  ];
  let findings: readonly Finding[];

  beforeAll(() => {
    using copy = new LintCopy();
    for (const [, file, text] of VIOLATIONS) copy.write(file, text);
    for (const [file, text] of ALLOWED) copy.write(file, text);
    copy.write(CYCLE[0], `import { b } from './b.ts';\nexport const a = () => b;\n`);
    copy.write(CYCLE[1], `import { a } from './a.ts';\nexport const b = () => a;\n`);
    findings = copy.biome();
  });

  test.each(VIOLATIONS)('%s is an error', (rule, file) => {
    expect(findings).toContainEqual({ file, rule });
  });

  test('an import cycle is an error', () => {
    for (const file of CYCLE) expect(findings).toContainEqual({ file, rule: 'lint/suspicious/noImportCycles' });
  });

  test.each(ALLOWED)('%s is accepted', (file) => {
    expect(findings.filter((finding) => finding.file === file)).toEqual([]);
  });
});

describe('promises', () => {
  const copy = new LintCopy();
  let findings: readonly Finding[];

  beforeAll(() => {
    const execa = `import { execa } from 'execa';\n`;
    const sleep = `import { setTimeout as sleep } from 'node:timers/promises';\n`;
    copy.write('src/host/floating.ts', `${execa}export function f() {\n  execa('sync');\n}\n`);
    copy.write('src/host/floating-sleep.ts', `${sleep}export function f() {\n  sleep(1);\n}\n`);
    copy.write(
      'src/host/misused.ts',
      `${sleep}export const f = (list: string[]) => list.forEach(async () => sleep(1));\n`,
    );
    copy.write('src/host/awaited.ts', `${execa}export async function f() {\n  await execa('sync');\n}\n`);
    copy.write(
      'src/gen/csi/v1/topology.ts',
      `export const Kind = { A: 'A' } as const;\nexport interface T { a: string }\n`,
    );
    copy.write('src/csi/gen-value.ts', `import { Kind } from '../gen/csi/v1/topology.ts';\nexport const k = Kind.A;\n`);
    copy.write(
      'src/csi/inner/gen-value.ts',
      `import { Kind } from '../../gen/csi/v1/topology.ts';\nexport const k = Kind.A;\n`,
    );
    copy.write(
      'src/csi/gen-type.ts',
      `import type { T } from '../gen/csi/v1/topology.ts';\nexport const a = (t: T) => t.a;\n`,
    );
    findings = copy.oxlint();
  });

  afterAll(() => copy[Symbol.dispose]());

  test('a promise nobody waits for is an error, also one that comes from a package', () => {
    for (const file of ['src/host/floating.ts', 'src/host/floating-sleep.ts'])
      expect(findings).toContainEqual({ file, rule: 'typescript(no-floating-promises)' });
  });

  test('an async callback where nobody waits is an error', () => {
    expect(findings).toContainEqual({ file: 'src/host/misused.ts', rule: 'typescript(no-misused-promises)' });
  });

  test('generated code is imported for its types only', () => {
    const rule = 'eslint(no-restricted-imports)';
    const refused = findings.filter((finding) => finding.rule === rule).map(({ file }) => file);
    expect(refused.toSorted()).toEqual(['src/csi/gen-value.ts', 'src/csi/inner/gen-value.ts']);
  });

  test('what is right is accepted', () => {
    expect(findings.filter(({ file }) => file === 'src/host/awaited.ts')).toEqual([]);
  });
});
