/** What is published: compiled, without the switches of the test build. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ROOT } from '../support/command.ts';

// A package of its own: package.json says that .js is ESM, the rest is what a package has beside dist.
const folder = mkdtempSync(path.join(tmpdir(), 'cofferdam-build-'));
const dist = path.join(folder, 'dist');

const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });

beforeAll(() => {
  cpSync(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  const tsc = path.join(ROOT, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['-p', path.join(ROOT, 'tsconfig.build.json'), '--outDir', dist], { encoding: 'utf8' });
  node(path.join(ROOT, 'scripts/release.ts'), dist);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const evaluate = (code: string) => node('--input-type=module', '--eval', code).trim();

test('the switch of the test build is off', () => {
  expect(evaluate(`import { TEST_BUILD } from './dist/src/core/build.js'; console.log(TEST_BUILD);`)).toBe('false');
});

test('a build that is no test build is not released twice', () => {
  expect(() => node(path.join(ROOT, 'scripts/release.ts'), dist)).toThrow('TEST_BUILD');
});

test('it runs', () => {
  expect(node('dist/src/main.js', '--help')).toContain('serve');
});

test.each([
  ['COFFERDAM_NO_FENCE', 'on'],
  ['COFFERDAM_FAILPOINTS', 'round.frozen=kill'],
])('%s, which sources know, is refused as unknown, and not named', (name, value) => {
  const { status, stderr } = spawnSync(process.execPath, ['dist/src/main.js', 'status'], {
    cwd: folder,
    encoding: 'utf8',
    env: { [name]: value },
  });
  expect(status).toBe(2);
  expect(stderr).toContain(`environment variable ${name}: unknown`);
  expect(stderr.split('known are')[1]).not.toContain(name);
});

test.each(['--no-fence', '--failpoints=x=kill'])('%s is no flag of it', (flag) => {
  for (const role of ['prove', 'serve']) {
    expect(spawnSync(process.execPath, ['dist/src/main.js', role, flag], { cwd: folder }).status).toBe(2);
  }
});

test('it finds the wire contract', () => {
  const code = `import { CSI_PROTO } from './dist/src/gen/csi-proto.js';
    import { loadProto } from './dist/src/rpc/proto.js';
    console.log(Object.keys(loadProto(CSI_PROTO).service('csi.v1.Identity')).join());`;
  expect(evaluate(code)).toContain('Probe');
});
