/** The driver with a guard of its own role: either dies or hangs in the middle of a round, and the other lives on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { codeOf } from '../support/csi.ts';
import { GuardRole } from '../support/guard-role.ts';
import { Scratch } from '../support/scratch.ts';
import { LEASE_MS } from '../support/serve.ts';
import {
  AFTER_THE_THAW,
  ARMED_TO_THAWED,
  armedAt,
  expectWell,
  GUARD_POINTS,
  group,
  whileStopped,
} from './guarded-group.ts';
import { SharedWorld } from './shared-world.ts';

const scratch = await Scratch.open();
const guard = await GuardRole.start(scratch);
const shared = new SharedWorld({ flags: ['--guard-socket', guard.socket] });
afterAll(async () => {
  await shared[Symbol.asyncDispose]();
  await guard[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

describe('the guard is killed', () => {
  test.each([...ARMED_TO_THAWED, ...AFTER_THE_THAW])('while the driver is at %s', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      const code = await whileStopped(world, point, async () => {
        await guard.kill();
        world.serve.proceed();
      });
      expect(code).toMatch(AFTER_THE_THAW.includes(point) ? /^ok$/ : /^(aborted|unavailable)$/);
      world.writers?.expectNoStall();
      await guard.restart();
      await expectWell(world, before);
    });
  });

  test.each(GUARD_POINTS)('at %s', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      await guard.arm(armedAt(point, 'kill'));
      expect(await codeOf(group(world))).toMatch(/^(aborted|unavailable)$/);
      await guard.ended();
      world.writers?.expectNoStall();
      await world.settled(before);
      await guard.arm('');
      await guard.restart();
      await expectWell(world, before);
    });
  });
});

describe('the guard is stopped past the lease, and goes on', () => {
  test.each(GUARD_POINTS.filter((point) => point !== 'guard.armed'))('at %s', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      await guard.arm(armedAt(point, 'stop'));
      const code = codeOf(group(world));
      await guard.stopped();
      await guard.arm('');
      await world.writers?.expectWriting();
      expect(await code).toMatch(/^(aborted|unavailable)$/);
      guard.proceed();
      world.writers?.expectNoStall();
      await world.settled(before);
      await expectWell(world, before);
    });
  });
});

describe('the driver is killed, and the guard lives on', () => {
  test.each(ARMED_TO_THAWED)('at %s: it thaws, and the next start finds nothing frozen', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      world.writers?.expectNoStall();
      const recovered = recoveries(await world.serve.log());
      const code = await whileStopped(world, point, async () => {
        await world.serve.kill();
        // Before anybody starts another.
        await world.writers?.expectWriting();
      });
      expect(code).toBe('unavailable');
      world.writers?.expectNoStall(LEASE_MS / 2);
      await world.restart();
      expect(recoveries(await world.serve.log())).toBe(recovered);
      await world.settled(before);
      await expectWell(world, before);
    });
  });
});

test('the driver is stopped past the lease: the guard thaws, and the round fails', async () => {
  await shared.use(async (world) => {
    const before = await world.footprint();
    const code = await whileStopped(world, 'round.frozen', async () => {
      await sleep(LEASE_MS);
      await world.writers?.expectWriting();
      world.serve.proceed();
    });
    expect(code).toBe('aborted');
    world.writers?.expectNoStall();
    await world.settled(before);
    await expectWell(world, before);
  });
});

test('driver and guard are killed together: the next start thaws, before there is a guard', async () => {
  await shared.use(async (world) => {
    const before = await world.footprint();
    const code = await whileStopped(world, 'round.frozen', async () => {
      await guard.kill();
      await world.serve.kill();
    });
    expect(code).toBe('unavailable');
    await expect(world.writers?.expectWriting(1000)).rejects.toThrow('not within');
    await world.restart();
    await world.writers?.expectWriting();
    expect(await codeOf(group(world))).toBe('unavailable');
    await guard.restart();
    await world.settled(before);
    await expectWell(world, before);
    world.writers?.longestStall();
  });
});

test('then everything is deleted, and nothing is left', async () => {
  await shared.close();
});

function recoveries(log: string): number {
  return log.split('had left frozen').length;
}
