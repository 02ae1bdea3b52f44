/**
 * The power is cut at random moments of a random workload on LVM; what was acknowledged before is there afterwards.
 * `POWER_CUTS=3` for a quick look.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { accelerator } from './accelerator.ts';
import { ForgetfulDisk } from './forgetful-disk.ts';
import { GROUP } from './ground.ts';
import { Machine } from './machine.ts';

const CUTS = Number(process.env.POWER_CUTS ?? 50);
/** From when the work begins; an operation takes a second or less when emulated. */
const LONGEST_MS = 10_000;
/** A start, a check and the work, for each cut; emulated, on a machine that others use too. */
const LIMIT_MS = 300_000;
const LOAD = path.join(import.meta.dirname, 'guest/power-cut.ts');
/** What the guest prints cannot be seen before the end: the state on the log's disk says when it has checked. */
const STATE_BYTES = 2 << 20;

let folder: string;
let pool: string;
/** Where the guest writes down what was acknowledged. It forgets nothing: what is acknowledged is known to somebody. */
let log: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cuts-'));
  [pool, log] = [path.join(folder, 'pool'), path.join(folder, 'log')];
  for (const [disk, bytes] of [
    [pool, 4 * 2 ** 30],
    [log, STATE_BYTES],
  ] as const) {
    await using file = await open(disk, 'wx');
    await file.truncate(bytes);
  }
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('the disk loses what was not flushed, and nothing else', async () => {
  const write = (text: string, megabyte: number, ...flags: readonly string[]) => [
    'sh',
    '-c',
    `printf %-4096s ${text} | dd of=/dev/vda bs=4096 seek=$((${megabyte} * 256)) oflag=direct ${flags.join(' ')}`,
  ];
  await powered(async (machine) => {
    await machine.run(write('flushed', 1, 'conv=fsync'));
    await machine.run(write('not-flushed', 2));
    expect(await readBack(machine, 2)).toBe('not-flushed');
  });
  await powered(async (machine) => {
    expect(await readBack(machine, 1)).toBe('flushed');
    expect(await readBack(machine, 2)).toBe('');
  });
});

test(
  `${CUTS} power cuts lose nothing that was acknowledged`,
  async () => {
    await powered(async (machine) => {
      await machine.run(['vgcreate', '-y', '--metadatasize', '16m', GROUP, '/dev/vda']);
      // LVM does not flush.
      await machine.run(['sync', '/dev/vda']);
    });
    for (let cut = 0; cut <= CUTS; cut++) {
      await powered(async (machine) => {
        const before = await turn();
        const load = machine.exec([process.execPath, '--no-warnings', LOAD, String(cut + 1), '/dev/vdb']);
        const ended = load.then(
          ({ stdout, stderr }) => stdout + stderr,
          () => undefined,
        );
        // The check ends with a new turn of the log.
        for (let checked = false; !checked; ) {
          const said = await Promise.race([ended, sleep(200)]);
          if (said !== undefined) throw new Error(`after ${cut} cuts:\n${said}`);
          checked = (await turn()) > before;
        }
        if (cut < CUTS) await sleep(Math.random() * LONGEST_MS);
        const said = await Promise.race([ended, sleep(0)]);
        if (said !== undefined) throw new Error(`the work ended by itself:\n${said}`);
        await machine.kill();
        await ended;
      });
    }
  },
  (CUTS + 1) * LIMIT_MS,
);

/** Works in a guest, and then cuts the power: of the guest first, so that nothing is acknowledged after the disk's. */
async function powered(work: (machine: Machine) => Promise<void>): Promise<void> {
  await using disk = await ForgetfulDisk.start(pool);
  await using machine = await Machine.start({ accelerator: await accelerator(), disks: [disk.url, log] });
  await machine.run(['modprobe', 'dm_thin_pool']);
  await work(machine);
  await machine.kill();
}

async function readBack(machine: Machine, megabyte: number): Promise<string> {
  const { stdout } = await machine.exec([
    'dd',
    'if=/dev/vda',
    'bs=4096',
    `skip=${megabyte * 256}`,
    'count=1',
    'status=none',
  ]);
  return stdout.replaceAll('\0', '').trim();
}

/** How often the guest has written its log. */
async function turn(): Promise<number> {
  await using file = await open(log, 'r');
  const { buffer } = await file.read(Buffer.alloc(STATE_BYTES), 0, STATE_BYTES, 0);
  const turns = [...buffer.toString('latin1').matchAll(/\{"turn":(\d+),/g)].map(([, digits]) => Number(digits));
  return Math.max(0, ...turns);
}
