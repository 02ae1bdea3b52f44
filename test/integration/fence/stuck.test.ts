/** The guard is killed while one of its calls is stuck in the kernel: whatever that waits for, the others don't. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { newToken } from '../../../src/core/round.ts';
import { startGuard } from '../../../src/fence/guard/child-link.ts';
import { GuardClient } from '../../../src/fence/guard/client.ts';
import { FreezeJournal } from '../../../src/fence/journal.ts';
import { NodeFence } from '../../../src/fence/node-fence.ts';
import { freezeFilesystem, openForFreeze, thawFilesystem } from '../../../src/host/freeze.ts';
import { mountAt } from '../../../src/host/mount-table.ts';
import { guardOf, NEVER } from '../../support/rig.ts';
import { eventually, Scratch } from '../../support/scratch.ts';
import { stateOf } from '../../support/serve.ts';

const LEASE_MS = 1000;
/** Longer than any lease here: the disk is slow until the test says otherwise. */
const SOON_MS = 20_000;

/** The fence of a node, with a healthy filesystem and one whose disk can be made to stall. */
class Stall implements AsyncDisposable {
  readonly scratch: Scratch;
  readonly journal: FreezeJournal;
  readonly fence: NodeFence;
  readonly failures: unknown[] = [];
  readonly healthy: string;
  readonly slow: string;
  readonly #disk: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(scratch: Scratch, places: readonly [string, string, string], resources: AsyncDisposableStack) {
    this.scratch = scratch;
    [this.healthy, this.slow, this.#disk] = places;
    this.#resources = resources;
    this.journal = new FreezeJournal(scratch.path('journal'));
    const observer = {
      frozenNow: () => undefined,
      leaseLost: () => undefined,
      notCleanedUp: (_: string, reason: unknown) => void this.failures.push(reason),
    };
    const guard = resources.use(new GuardClient(startGuard));
    this.fence = new NodeFence(guard, this.journal, systemClock, observer, { expediteRcu: false });
  }

  static async open(): Promise<Stall> {
    await using resources = new AsyncDisposableStack();
    const scratch = resources.use(await Scratch.open());
    const healthy = await scratch.filesystem('healthy', 'ext4', 32n * MiB);
    // A disk that stalls: an image in a filesystem that is frozen takes no writes.
    const disk = await scratch.filesystem('disk', 'ext4', 96n * MiB);
    const slow = await scratch.filesystem('disk/slow', 'ext4', 32n * MiB);
    return new Stall(scratch, [healthy, slow, disk], resources.move());
  }

  /** @returns what ends the stall */
  async stall(): Promise<AsyncDisposable> {
    const root = await openForFreeze(this.#disk);
    await freezeFilesystem(root.fd);
    return {
      [Symbol.asyncDispose]: async () => {
        await thawFilesystem(root.fd);
        await root.close();
      },
    };
  }

  async prepare(mountPoints: readonly string[]) {
    const members = mountPoints.map(async (mountPoint) => {
      const devNumber = (await mountAt(mountPoint))?.devNumber ?? '';
      return [{ kind: 'filesystem' as const, mountPoint, devNumber }];
    });
    return await this.fence.prepare(newToken(), await Promise.all(members), NEVER);
  }

  /** Resolves when the filesystem takes no writes. */
  async frozen(mountPoint: string): Promise<void> {
    await eventually(`${mountPoint} is frozen`, async () => {
      const writer = this.scratch.writer(`${mountPoint}/frozen`);
      await Promise.race([writer.done, sleep(300)]);
      return !writer.ended;
    });
  }

  /** @throws Error when the filesystem takes no writes for long */
  async takesWrites(mountPoint: string): Promise<void> {
    const writer = this.scratch.writer(`${mountPoint}/written`);
    await eventually(`${mountPoint} takes writes`, () => writer.ended, SOON_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** A write that keeps the freeze waiting for it, and does not end before the disk goes on. */
async function stuckWriter(scratch: Scratch, mountPoint: string): Promise<void> {
  const argv = ['if=/dev/zero', `of=${mountPoint}/stuck`, 'bs=4096', 'count=1', 'oflag=direct,dsync', 'status=none'];
  const child = spawn('dd', argv, { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  scratch.owns(pid);
  await once(child, 'spawn');
  await eventually('the writer waits for its disk', async () => (await stateOf(pid)) === 'D');
}

test.each([
  ['while it writes back: the others are thawed at once', false],
  ['while it waits for a writer: the others are thawed at once, and it when that has ended', true],
])('a freeze is stuck %s', async (_, behindWriter) => {
  await using world = await Stall.open();
  const { scratch, healthy, slow, journal, failures } = world;
  const session = await world.prepare([healthy, slow]);
  await using disk = new AsyncDisposableStack();
  disk.use(await world.stall());
  if (behindWriter) await stuckWriter(scratch, slow);
  const freezing = session.freeze(LEASE_MS);
  freezing.catch(() => undefined);
  await world.frozen(healthy);
  const guard = await guardOf(process.pid);
  scratch.owns(guard);
  process.kill(guard, 'SIGKILL');

  await world.takesWrites(healthy);
  await expect(freezing).rejects.toMatchObject({ code: 'unavailable' });
  expect(await journal.list()).toHaveLength(1);
  // The next round has a new guard, and what comes of the old one does not disturb it.
  const next = await world.prepare([healthy]);
  await next.freeze(60_000);
  await disk.disposeAsync();
  await world.takesWrites(slow);
  await session.end();
  await eventually('nothing can come any more', async () => (await journal.list()).length === 1);
  expect(await next.end()).toMatchObject({ held: true });
  expect(await journal.list()).toEqual([]);
  expect(failures).toEqual([]);
});
