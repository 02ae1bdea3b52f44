/** A run whose terminal is closed, or whose output nobody reads any more, cleans up like one that is interrupted. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { exists } from '../../../src/host/exists.ts';
import { ROOT } from '../../support/command.ts';
import { type Csi, connectTo } from '../../support/csi.ts';
import { Driver } from '../../support/driver.ts';
import { eventually, Scratch } from '../../support/scratch.ts';
import { hasEnded } from '../../support/serve.ts';

const END_MS = 120_000;
const MAIN = path.join(ROOT, 'src/main.ts');

let scratch: Scratch;
let driver: Driver;
let csi: Csi;

beforeAll(async () => {
  scratch = await Scratch.open();
  await mkdir(scratch.path('work'));
  driver = await Driver.start({ folder: scratch.path('driver'), poolSize: '8GiB', flags: ['--overcommit-ratio', '9'] });
  csi = connectTo(driver.endpoint);
});

afterAll(async () => {
  csi[Symbol.dispose]();
  await driver[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

/** Of script(1), which runs it on a terminal of its own: killed, it closes that terminal. */
async function onTerminal(...args: string[]): Promise<{ readonly terminal: ChildProcess; readonly pid: number }> {
  const command = `exec ${[process.execPath, MAIN, ...args].join(' ')}`;
  const terminal = spawn('script', ['--quiet', '--flush', '--command', command, '/dev/null'], {
    env: { ...process.env, TMPDIR: scratch.path('work') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const children = async () => (await readFile(`/proc/${terminal.pid}/task/${terminal.pid}/children`, 'utf8')).trim();
  await eventually('it starts', async () => (await children()) !== '', END_MS);
  const pid = Number(await children());
  scratch.owns(pid);
  return { terminal, pid };
}

/** Resolves when it has printed this. */
async function printed({ stdout }: ChildProcess, pattern: RegExp): Promise<void> {
  let text = '';
  stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await eventually(`it prints ${pattern}`, () => pattern.test(text), END_MS);
}

async function expectNothingLeft(): Promise<void> {
  expect(await csi.controller.ListVolumes({})).toMatchObject({ entries: [] });
  expect(await csi.controller.ListSnapshots({})).toMatchObject({ entries: [] });
  expect(await readdir(scratch.path('work'))).toEqual([]);
}

const PROVE = ['prove', '--volumes', '2', '--rounds', '100000', '--driver'];

test('prove, when its terminal is closed', async () => {
  const { terminal, pid } = await onTerminal(...PROVE, driver.endpoint);
  await printed(terminal, /round +2/);
  terminal.kill('SIGKILL');
  await eventually('prove ends', () => hasEnded(pid), END_MS);
  await expectNothingLeft();
});

test('prove, when nobody reads its output', async () => {
  const run = spawn(process.execPath, [MAIN, ...PROVE, driver.endpoint], {
    env: { ...process.env, TMPDIR: scratch.path('work') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  scratch.owns(run.pid ?? 0);
  const ended = once(run, 'exit');
  let complaints = '';
  run.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    complaints += chunk;
  });
  await printed(run, /round +2/);
  run.stdout.destroy();
  expect(await ended).toEqual([1, null]);
  expect(complaints).toBe('');
  await expectNothingLeft();
});

test('serve, when its terminal is closed', async () => {
  const socket = scratch.path('serve.sock');
  const data = scratch.path('serve');
  await mkdir(data);
  const places = ['--endpoint', `unix://${socket}`, '--data-dir', data, '--pool-size', '1GiB'];
  const { terminal, pid } = await onTerminal('serve', ...places);
  await printed(terminal, /"msg":"serving"/);
  terminal.kill('SIGKILL');
  await eventually('serve ends', () => hasEnded(pid), END_MS);
  // The last thing that one which stops in order does, and nobody else.
  expect(await exists(socket)).toBe(false);
});
