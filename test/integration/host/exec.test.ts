import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { startChild } from '../../../src/host/child.ts';
import { CommandError, run } from '../../../src/host/exec.ts';
import { requireRoot, requireTools } from '../../../src/host/privileges.ts';

describe('commands', () => {
  test('answer output and exit code, with nothing trimmed', async () => {
    expect(await run(['printf', 'a b\n\n'])).toEqual({ stdout: 'a b\n\n', stderr: '', exitCode: 0 });
    expect((await run(['cat'], { input: 'text' })).stdout).toBe('text');
    expect((await run(['cat'])).stdout).toBe('');
    expect((await run(['test', '1', '=', '2'], { okCodes: [0, 1] })).exitCode).toBe(1);
  });

  test('get a fixed environment and no shell', async () => {
    expect((await run(['env'])).stdout.trim().split('\n').sort()).toEqual([
      'LC_ALL=C',
      expect.stringMatching(/^PATH=.*\/usr\/sbin/),
    ]);
    expect((await run(['echo', '$HOME; `id`'])).stdout).toBe('$HOME; `id`\n');
  });

  test('that fail say everything', async () => {
    const error: unknown = await run(['ls', '/no/such/folder']).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({
      argv: ['ls', '/no/such/folder'],
      exitCode: 2,
      timedOut: false,
      stderr: expect.stringContaining('No such file or directory'),
      message: expect.stringContaining('exited with 2: ls: cannot access'),
      cause: expect.anything(),
    });
  });

  test('that are not installed name the package', async () => {
    await expect(run(['no-such-command'])).rejects.toMatchObject({
      code: 'failed-precondition',
      message: 'no-such-command is not installed',
    });
    await expect(requireTools(['ls', 'no-such-command', 'neither'])).rejects.toMatchObject({
      code: 'failed-precondition',
      message: 'no-such-command is not installed; neither is not installed',
    });
    await requireTools(['mount', 'mkfs.ext4', 'mkfs.xfs', 'mkfs.btrfs', 'blkid']);
    requireRoot();
  });

  test('die at their timeout', async () => {
    await expect(run(['sleep', 'infinity'], { timeoutMs: 200 })).rejects.toMatchObject({
      timedOut: true,
      signal: 'SIGKILL',
    });
  });

  test('die with their signal', async () => {
    const aborter = new AbortController();
    setTimeout(() => aborter.abort(), 100);
    await expect(run(['sleep', '60'], { signal: aborter.signal })).rejects.toMatchObject({ code: 'cancelled' });
    await expect(run(['sleep', '60'], { signal: aborter.signal })).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('and say what it says', async () => {
    const stopping = new DriverError('unavailable', 'the driver is stopping');
    const aborter = new AbortController();
    setTimeout(() => aborter.abort(stopping), 100);
    await expect(run(['sleep', '60'], { signal: aborter.signal })).rejects.toBe(stopping);
    await expect(run(['sleep', '60'], { signal: aborter.signal })).rejects.toBe(stopping);
  });
});

describe('children', () => {
  test('run until told, and report how they ended', async () => {
    const child = await startChild(['cat'], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    expect(child.pid).toBeGreaterThan(0);
    child.stdin?.write('line');
    const [chunk] = (await child.stdout?.take(1).toArray()) ?? [];
    expect(String(chunk)).toBe('line');
    expect(child.kill('SIGKILL')).toBe(true);
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(child.kill('SIGKILL')).toBe(false);
    expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('get the environment that they are given', async () => {
    const child = await startChild(['sh', '-c', 'exit $CODE'], { env: { CODE: '7' } });
    expect(await child.exited).toEqual({ code: 7, signal: null });
  });

  test('that can not be started are an error, once', async () => {
    await expect(startChild(['no-such-command'])).rejects.toMatchObject({ code: 'failed-precondition' });
    await sleep(10);
  });
});
