/**
 * The power is cut at random moments of a random workload on LVM; what was acknowledged before is there afterwards.
 * `POWER_CUTS=50` for more of them.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { accelerator } from './accelerator.ts';
import { GROUP } from './ground.ts';
import { Machine } from './machine.ts';

const CUTS = Number(process.env.POWER_CUTS ?? 3);
/** From when the work begins; an operation takes a second or less when emulated. */
const LONGEST_MS = 10_000;
const LOAD = path.join(import.meta.dirname, 'guest/power-cut.ts');
/** What the guest prints cannot be seen before the end: the state on the log's disk says when it has checked. */
const STATE_BYTES = 2 << 20;

let folder: string;
let disks: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cuts-'));
  disks = [path.join(folder, 'pool'), path.join(folder, 'log')];
  for (const [i, disk] of disks.entries()) {
    await using file = await open(disk, 'wx');
    await file.truncate(i === 0 ? 4 * 2 ** 30 : STATE_BYTES);
  }
  await using machine = await start();
  await machine.run(['vgcreate', '-y', '--metadatasize', '16m', GROUP, '/dev/vda']);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test(`${CUTS} power cuts lose nothing that was acknowledged`, async () => {
  expect(existsSync(LOAD)).toBe(true);
  for (let cut = 0; cut <= CUTS; cut++) {
    await using machine = await start();
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
  }
});

async function start(): Promise<Machine> {
  const machine = await Machine.start({ accelerator: await accelerator(), disks });
  await machine.run(['modprobe', 'dm_thin_pool']);
  return machine;
}

/** How often the guest has written its log. */
async function turn(): Promise<number> {
  await using file = await open(disks[1] ?? '', 'r');
  const { buffer } = await file.read(Buffer.alloc(STATE_BYTES), 0, STATE_BYTES, 0);
  const turns = [...buffer.toString('latin1').matchAll(/\{"turn":(\d+),/g)].map(([, digits]) => Number(digits));
  return Math.max(0, ...turns);
}
