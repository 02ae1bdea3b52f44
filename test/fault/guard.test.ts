/**
 * Processes that die or hang in the middle of a round: the guard at each of its points, the driver past its lease, both
 * at once. Failpoints stop the driver at a point, so that what happens there happens there.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { eventually, isRunning } from '../support/scratch.ts';
import { hasEnded, LEASE_MS } from '../support/serve.ts';
import { AFTER_THE_THAW, ARMED_TO_THAWED, expectWell, whileStopped } from './guarded-group.ts';
import { SharedWorld } from './shared-world.ts';
import type { World } from './world.ts';

const shared = new SharedWorld();
afterAll(async () => shared[Symbol.asyncDispose]());

/** Starts a group snapshot that stops at the point, and does something meanwhile. @returns the code of the call */
async function meanwhile(world: World, point: string, work: (guard: number) => Promise<void>): Promise<string> {
  return await whileStopped(world, point, async () => {
    const guard = await world.serve.guard();
    if (guard === undefined) throw new Error('there is no guard');
    world.scratch.owns(guard);
    await work(guard);
  });
}

async function end(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await eventually('the guard ends', () => hasEnded(pid));
}

describe('the guard is killed', () => {
  test.each(ARMED_TO_THAWED)('at %s: the round fails, and the agent thaws', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      const code = await meanwhile(world, point, async (guard) => {
        await end(guard);
        world.serve.proceed();
      });
      expect(code).toMatch(/^(aborted|unavailable)$/);
      world.writers?.expectNoStall();
      await world.settled(before);
      await expectWell(world, before);
    });
  });

  test.each(AFTER_THE_THAW)('at %s: the round goes on, it has no need of it', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      const code = await meanwhile(world, point, async (guard) => {
        await end(guard);
        world.serve.proceed();
      });
      expect(code).toBe('ok');
      world.writers?.expectNoStall();
      await expectWell(world, before);
    });
  });
});

describe('the driver is killed', () => {
  test.each(['round.frozen', 'snapshot.cut', 'round.cut'])('at %s: the guard thaws, and ends', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      world.writers?.expectNoStall();
      const code = await meanwhile(world, point, async (guard) => {
        await world.serve.kill();
        // Before anybody starts another.
        await world.writers?.expectWriting();
        await eventually('the guard ends', () => !isRunning(guard));
      });
      expect(code).toBe('unavailable');
      // At once: it does not wait for the end of the lease.
      world.writers?.expectNoStall(LEASE_MS / 2);
      await world.restart();
      await world.settled(before);
      await expectWell(world, before);
    });
  });
});

describe('the driver is stopped past its lease', () => {
  test.each(['round.frozen', 'snapshot.cut', 'round.cut'])(
    'at %s: the guard thaws, and the round fails',
    async (point) => {
      await shared.use(async (world) => {
        const before = await world.footprint();
        world.writers?.expectNoStall();
        const code = await meanwhile(world, point, async () => {
          await sleep(LEASE_MS);
          // Nobody but the guard is there to thaw.
          await world.writers?.expectWriting();
          world.serve.proceed();
        });
        expect(code).toBe('aborted');
        world.writers?.expectNoStall();
        await world.settled(before);
        await expectWell(world, before);
      });
    },
  );
});

test('the guard hangs while all is frozen: the agent ends it after the lease, and thaws', async () => {
  await shared.use(async (world) => {
    const before = await world.footprint();
    const code = await meanwhile(world, 'round.frozen', async (guard) => {
      process.kill(guard, 'SIGSTOP');
      world.serve.proceed();
    });
    expect(code).toMatch(/^(aborted|unavailable)$/);
    world.writers?.expectNoStall();
    await world.settled(before);
    await expectWell(world, before);
  });
});

describe('driver and guard are killed together', () => {
  test.each(['fence.journaled', 'fence.armed', 'round.frozen', 'snapshot.cut@3', 'round.cut', 'round.thawed'])(
    'at %s: the next start thaws',
    async (point) => {
      await shared.use(async (world) => {
        const before = await world.footprint();
        const code = await meanwhile(world, point, async (guard) => {
          await end(guard);
          await world.serve.kill();
        });
        expect(code).toBe('unavailable');
        const frozen = ['round.frozen', 'snapshot.cut@3', 'round.cut'].includes(point);
        // Else the point is not where it was meant to be, and the rest says nothing.
        if (frozen) await expect(world.writers?.expectWriting(1000)).rejects.toThrow('not within');
        await world.restart();
        await world.settled(before);
        await expectWell(world, before);
        world.writers?.longestStall();
      });
    },
  );
});

test('then everything is deleted, and nothing is left', async () => {
  await shared.close();
});
