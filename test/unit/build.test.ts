/** What is published: compiled, without the switches of the test build. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
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
  for (const name of ['node_modules', 'csi-proto']) symlinkSync(path.join(ROOT, name), path.join(folder, name));
  node(path.join(ROOT, 'scripts/build.ts'), dist);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Below dist/src. */
const modules = () =>
  readdirSync(path.join(dist, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));

test('the switch of the test build is off', () => {
  const text = modules()
    .map((file) => readFileSync(path.join(dist, 'src', file), 'utf8'))
    .join('\n');
  expect(text.match(/TEST_BUILD = \w+/g)).toEqual(['TEST_BUILD = false']);
});

test('what runs as a program or a thread of its own is where it is looked for, and all else beside main', () => {
  const sources = readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  const threads = sources.filter((file) => file.endsWith('-thread.ts'));
  const programs = ['fence/guard/main.js', ...threads.map((file) => file.replace(/ts$/, 'js'))];
  expect(new Set(modules().filter((file) => file.includes('/')))).toEqual(new Set(programs));
  expect(modules()).toContain('main.js');
});

test('the guard starts, and ends with its agent', () => {
  expect(spawnSync(process.execPath, ['dist/src/fence/guard/main.js'], { cwd: folder, input: '' }).status).toBe(0);
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
