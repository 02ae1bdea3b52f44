/** The check that nothing is left behind sees what is, and removes it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { Traces } from '../support/leftovers.ts';

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

/** Without what the other tests of this run have in the places that all share. */
async function look(traces: Traces, folder: string): Promise<readonly string[]> {
  const lines = await traces.find(0);
  return lines.filter((line) => line.includes(folder) || /^(process |temporary file [^/])/.test(line));
}
