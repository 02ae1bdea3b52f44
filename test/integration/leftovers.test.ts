/** The check that nothing is left behind sees what is, and removes it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from '../support/command.ts';
import { othersAtWork, Traces } from '../support/leftovers.ts';
import { eventually } from '../support/scratch.ts';

const sh = (file: string, ...args: string[]) => execFileSync(file, args, { encoding: 'utf8' }).trim();

test('a loop device, a frozen mount and a process are found, and removed', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'traces-'));
  const traces = new Traces(folder);
  try {
    expect(await look(traces, folder)).toEqual([]);

    const image = path.join(folder, 'image');
    writeFileSync(image, '');
    truncateSync(image, 64 << 20);
    sh('mkfs.ext4', '-q', image);
    const device = sh('losetup', '--find', '--show', image);
    const mount = path.join(folder, 'with a space');
    mkdirSync(mount);
    sh('mount', device, mount);
    sh('fsfreeze', '--freeze', mount);
    const child = spawn('sleep', ['600'], { env: { PATH: '/usr/bin:/bin', TMPDIR: folder } });
    const ended = once(child, 'exit');

    expect(await look(traces, folder)).toEqual([
      `process ${child.pid}: sleep 600`,
      `mount ${mount}, frozen`,
      `loop device ${device}: ${image}`,
      'temporary file image',
      'temporary file with a space',
    ]);
    traces.clean();
    await ended;
    expect(await look(traces, folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  } finally {
    traces.clean();
  }
});

test('a guard whose agent died is found, and switches nothing off that is looked at only while nobody is at work', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'traces-'));
  const traces = new Traces(folder);
  const start = `import { startGuard } from '${ROOT}/src/fence/guard/child-link.ts'; await startGuard('${folder}');`;
  const agent = spawn(process.execPath, ['--input-type=module', '--eval', start], { stdio: 'inherit' });
  const childOf = () => Number(readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8'));
  const isGuard = (pid: number) => pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/guard/main.ts');
  await eventually('the guard runs', () => isGuard(childOf()), 60_000);
  const guard = childOf();
  try {
    // One that runs would see that its agent died, and end.
    process.kill(guard, 'SIGSTOP');
    const ended = once(agent, 'exit');
    agent.kill('SIGKILL');
    await ended;
    expect(await look(traces, folder)).toEqual([
      expect.stringMatching(`^process ${guard}: .*/fence/guard/main.ts ${folder}$`),
    ]);
    expect(othersAtWork([])).not.toContain(guard);
  } finally {
    process.kill(guard, 'SIGKILL');
    traces.clean();
  }
});

test('others at work are those that run our programs, and not those that only name them', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'traces-'));
  const program = path.join(folder, 'test/run.ts');
  mkdirSync(path.dirname(program));
  writeFileSync(program, 'setInterval(() => undefined, 1000);');
  const editor = spawn('tail', ['-f', program], { stdio: 'ignore' });
  const other = spawn(process.execPath, ['--no-warnings', program], { stdio: 'ignore' });
  try {
    const found = othersAtWork([]);
    expect(found).toContain(other.pid);
    expect(found).not.toContain(editor.pid);
    expect(othersAtWork([other.pid ?? 0])).not.toContain(other.pid);
  } finally {
    other.kill('SIGKILL');
    editor.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
});

/** Without what the other tests of this run have in the places that all share. */
async function look(traces: Traces, folder: string): Promise<readonly string[]> {
  const lines = await traces.find(0);
  return lines.filter((line) => line.includes(folder) || /^(process |temporary file [^/])/.test(line));
}
