/** The guard is killed while one of its calls is stuck in the kernel: whatever that waits for, the others don't. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { newToken } from '../../../src/core/round.ts';
import { startGuard } from '../../../src/fence/guard/child-link.ts';
import { GuardClient } from '../../../src/fence/guard/client.ts';
import { FreezeJournal } from '../../../src/fence/journal.ts';
import { NodeFence } from '../../../src/fence/node-fence.ts';
import { mountAt } from '../../../src/host/mount-table.ts';
import { guardOf, NEVER } from '../../support/rig.ts';
import { eventually, Scratch } from '../../support/scratch.ts';
import { stallDisk, stuckWriter } from '../../support/stalled-disk.ts';
import { Window } from './frozen-window.ts';

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
    const guard = resources.use(new GuardClient(() => startGuard(scratch.folder)));
    this.fence = new NodeFence(guard, this.journal, systemClock, observer, {
      expediteRcu: false,
      guardLock: scratch.path('guard.lock'),
    });
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
    return await stallDisk(this.#disk);
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

test('and the agent is killed as well: the next start serves when nothing can come any more, and it is thawed', async () => {
  await using window = await Window.open();
  await window.agent.call('prepare', window.plan);
  const guard = await window.agent.guard();
  const freezing = await window.stickFreeze();
  window.agent.stop();
  process.kill(guard, 'SIGKILL');
  await window.agent.kill();
  await window.expectStartWaits(freezing);
  await window.expectNothingOfIt();
});
