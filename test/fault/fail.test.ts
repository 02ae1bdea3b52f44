/**
 * Every failpoint fails as a broken or a full disk does: the caller gets a clean error, nothing is left of the attempt,
 * and the same call succeeds afterwards.
 */
import { afterAll, describe, expect, test } from '@jest/globals';
import { DriverError } from '../../src/core/errors.ts';
import { MOUNT_SCENARIOS } from './crash/mounts.ts';
import { armed, insist, pointOf, type Scenario, timeless } from './crash/scenario.ts';
import { SNAPSHOT_SCENARIOS } from './crash/snapshots.ts';
import { VOLUME_SCENARIOS } from './crash/volumes.ts';
import { SharedWorld } from './shared-world.ts';
import type { World } from './world.ts';

const shared = new SharedWorld();
afterAll(async () => shared[Symbol.asyncDispose]());

const SCENARIOS: readonly Scenario[] = [...VOLUME_SCENARIOS, ...SNAPSHOT_SCENARIOS, ...MOUNT_SCENARIOS];

/** Past these all is decided: nobody hears of the failure, or what it has left goes at the next start. */
/** The round is decided by then: its coordinator finds out, and finishes it. */
const OVERCOME = new Set(['snapshot.committed', 'coordinator.decided']);

const LEAVES_TO_THE_NEXT_START = new Set(['journal.remove', 'round.abort', 'trash.remove']);

/** The code of the call that passes the point; `ok` where its failure is nobody's concern. */
async function failAt(world: World, scenario: Scenario, point: string, errno: string): Promise<string> {
  await world.serve.arm(armed(point, `fail:${errno}`));
  try {
    await scenario.act(world);
    return 'ok';
  } catch (error) {
    if (!(error instanceof DriverError)) throw error;
    // What we can't help is told with the number to look for in the log, and nothing else.
    expect(error.message).toMatch(/^[^\n]{1,400}$/);
    if (error.code === 'internal') expect(error.message).toMatch(/request [0-9a-f]{12}/);
    return error.code;
  } finally {
    await world.serve.arm('');
  }
}

describe.each(SCENARIOS.map((each) => [each.name, each] as const))('%s: failing at', (_, scenario) => {
  const points = Object.keys(scenario.points);
  const staying = points.filter((point) => LEAVES_TO_THE_NEXT_START.has(pointOf(point)));

  test.each(points.filter((point) => !staying.includes(point)))('%s', async (point) => {
    await shared.play(scenario, async (world, reference) => {
      const overcome = OVERCOME.has(pointOf(point));
      expect(await failAt(world, scenario, point, 'EIO')).toBe(overcome ? 'ok' : 'internal');
      if (scenario.answersWithIt) await world.settled(reference.before, reference.after);
      expect(timeless(await insist(() => scenario.act(world)))).toEqual(reference.answer);
      await world.settled(reference.after);
      await scenario.revert(world);
      await world.settled(reference.before);

      expect(await failAt(world, scenario, point, 'ENOSPC')).toBe(overcome ? 'ok' : 'resource-exhausted');
      if (scenario.answersWithIt) await world.settled(reference.before, reference.after);
      await scenario.revert(world);
      await world.settled(reference.before);
      await world.writers?.expectWriting();
      world.writers?.expectNoStall();
    });
  });

  if (staying.length > 0) {
    test(`${staying.join(', ')}: the next start removes the rest`, async () => {
      await shared.play(scenario, async (world, reference) => {
        for (const point of staying) {
          expect(await failAt(world, scenario, point, 'EIO')).toMatch(/^(ok|internal)$/);
          await insist(() => scenario.act(world));
          await scenario.revert(world);
        }
        await world.serve.stop();
        await world.restart();
        await world.settled(reference.before);
        await world.writers?.expectWriting();
        world.writers?.expectNoStall();
      });
    });
  }
});

test('then everything is deleted, and nothing is left', async () => {
  await shared.close();
});
