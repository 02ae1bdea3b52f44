/**
 * Cuts the power of a node at random moments of a random workload, on a disk that forgets what was not flushed. What was
 * acknowledged before must be there afterwards: the guest looks (guest/power-cut.ts).
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { accelerator } from './accelerator.ts';
import { execHere } from './exec-here.ts';
import { ForgetfulDisk } from './forgetful-disk.ts';
import { GROUP, must } from './ground.ts';
import { LOG_BYTES, turnOf } from './guest/power-cut-log.ts';
import { Machine } from './machine.ts';

/** What the disk has: a volume group, or a filesystem with the data folder. On ext4 the pool is a file in it. */
export type PoolDisk = 'lvm' | 'ext4' | 'xfs' | 'btrfs';

export const LOOP_DISKS = ['ext4', 'xfs', 'btrfs'] as const satisfies readonly PoolDisk[];

/** From when the work begins; an operation takes a second or less when emulated. */
const LONGEST_MS = 10_000;
/** Of a start, a check and the work. */
const GUEST_MS = 900_000;
const LOAD = path.join(import.meta.dirname, 'guest/power-cut.ts');
const POOL_BYTES = 4 * 2 ** 30;

/** The disks of a node, as files. */
export class Disks implements AsyncDisposable {
  readonly #folder: string;
  readonly pool: string;
  /** Where the guest writes down what was acknowledged. It forgets nothing: what is acknowledged is known to somebody. */
  readonly log: string;

  private constructor(folder: string) {
    this.#folder = folder;
    [this.pool, this.log] = [path.join(folder, 'pool'), path.join(folder, 'log')];
  }

  /** Both empty. */
  static async make(): Promise<Disks> {
    const disks = new Disks(await mkdtemp(path.join(tmpdir(), 'cuts-')));
    for (const [disk, bytes] of [
      [disks.pool, POOL_BYTES],
      [disks.log, LOG_BYTES],
    ] as const) {
      await using file = await open(disk, 'wx');
      await file.truncate(bytes);
    }
    return disks;
  }

  /** Works in a guest, and then cuts the power: of the guest first, so that nothing is acknowledged after the disk's. */
  async powered(work: (machine: Machine) => Promise<void>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await using disk = await ForgetfulDisk.start(this.pool);
    await using machine = await Machine.start({ accelerator: await accelerator(), disks: [disk.url, this.log] });
    const switchOff = () => void machine.kill();
    signal?.addEventListener('abort', switchOff);
    try {
      await work(machine);
    } finally {
      signal?.removeEventListener('abort', switchOff);
    }
    await machine.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** @throws Error with what was lost, or half there, and after how many cuts */
export async function cutPower(kind: PoolDisk, cuts: number, signal?: AbortSignal): Promise<void> {
  await using disks = await Disks.make();
  await prepare(disks, kind);
  for (let cut = 0; cut <= cuts; cut++) {
    await disks.powered(async (machine) => {
      await machine.run(['modprobe', '-a', 'dm_thin_pool', 'loop']);
      const before = await turnOf(disks.log);
      const argv = [process.execPath, '--no-warnings', LOAD, kind, String(cut + 1), '/dev/vdb'];
      const work = machine.exec(argv, { timeoutMs: GUEST_MS }).then(({ stdout, stderr }) => {
        throw new Error(`${kind}, after ${cut} cuts: the work ended by itself:\n${stdout}${stderr}`);
      });
      const ended = work.catch(() => undefined);
      // What the guest prints cannot be seen before the end. Its check ends with a new turn of the log.
      while ((await turnOf(disks.log)) === before) await Promise.race([work, sleep(200)]);
      if (cut < cuts) await Promise.race([work, sleep(Math.random() * LONGEST_MS)]);
      await machine.kill();
      await ended;
    }, signal);
  }
}

async function prepare(disks: Disks, kind: PoolDisk): Promise<void> {
  if (kind !== 'lvm') return await must(execHere, [`mkfs.${kind}`, '-q', disks.pool]);
  await disks.powered(async (machine) => {
    await machine.run(['modprobe', 'dm_thin_pool']);
    await machine.run(['vgcreate', '-y', '--metadatasize', '16m', GROUP, '/dev/vda']);
    // LVM does not flush.
    await machine.run(['sync', '/dev/vda']);
  });
}
