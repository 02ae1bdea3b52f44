/** The virtual machine: what goes in comes out, and a guest that fails is an error with a reason, never a wait. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isRunning } from '../support/scratch.ts';
import { accelerator } from './accelerator.ts';
import { Machine } from './machine.ts';
import type { Accelerator } from './qemu.ts';

let chosen: Accelerator;

beforeAll(async () => {
  chosen = await accelerator();
});

describe('a guest', () => {
  let folder: string;
  let machine: Machine;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'disk-'));
    const disk = path.join(folder, 'disk');
    await using file = await open(disk, 'w');
    await file.truncate(64 << 20);
    machine = await Machine.start({ accelerator: chosen, disks: [disk] });
  });

  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
    expect(isRunning(machine.pid)).toBe(false);
    await rm(folder, { recursive: true });
  });

  test('tells exit code, standard output and standard error apart', async () => {
    const result = await machine.exec(['sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(result).toMatchObject({ code: 7, signal: null, stdout: 'out\n', stderr: 'err\n' });
  });

  test('tells a signal from an exit code', async () => {
    expect(await machine.exec(['sh', '-c', 'kill -9 $$'])).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  test('says when there is no such command', async () => {
    expect(await machine.exec(['no-such-command'])).toMatchObject({ code: 127 });
  });

  test('passes input, environment and folder', async () => {
    const options = { input: 'from outside', env: { COLOUR: 'green' }, cwd: '/usr' };
    expect(await machine.run(['sh', '-c', 'cat; echo " $COLOUR $PWD"'], options)).toBe('from outside green /usr\n');
  });

  test('runs commands at the same time, and output of a megabyte comes whole', async () => {
    const [long, short] = await Promise.all([
      machine.run(['sh', '-c', 'head -c 1048576 /dev/zero | tr "\\0" x']),
      machine.run(['echo', 'quick']),
    ]);
    expect([long.length, short]).toEqual([1 << 20, 'quick\n']);
  });

  test('has device-mapper, the disk, and a root that takes writes which nobody else sees', async () => {
    await machine.run(['modprobe', 'dm_thin_pool']);
    const seen = await machine.run(['sh', '-c', 'touch /written && ls /dev/mapper/control /dev/vda /written']);
    expect(seen.split('\n').filter(Boolean)).toEqual(['/dev/mapper/control', '/dev/vda', '/written']);
  });
});

test('a guest that hangs ends the command, with what the console said', async () => {
  await using machine = await Machine.start({ accelerator: chosen });
  await machine.run(['sh', '-c', 'echo "something went by" >/dev/console']);
  await expect(machine.exec(['sleep', '1000'], { timeoutMs: 1000 })).rejects.toThrow(
    /did not answer within 1000 ms: sleep 1000.*something went by/s,
  );
  expect(machine.alive).toBe(false);
  await expect(machine.exec(['true'])).rejects.toThrow('the guest is off');
});

test('a guest that dies ends the command, with what the console said', async () => {
  await using machine = await Machine.start({ accelerator: chosen });
  await expect(machine.exec(['sh', '-c', 'echo c >/proc/sysrq-trigger'])).rejects.toThrow(/the guest died.*panic/s);
});

test('a guest that does not come up is an error', async () => {
  await expect(Machine.start({ accelerator: chosen, bootMs: 100 })).rejects.toThrow('no answer within 100 ms');
});
