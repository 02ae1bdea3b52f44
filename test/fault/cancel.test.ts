/**
 * Callers who go away in the middle of a call, by hanging up or by their deadline: it is done whole or not at all, and
 * whoever comes next finds nothing in the way for long.
 */
import { randomInt } from 'node:crypto';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Random } from '../../src/prove/random.ts';
import { calling, codeOf } from '../support/csi.ts';
import { MOUNT_SCENARIOS } from './crash/mounts.ts';
import { outlast, type Scenario, timeless } from './crash/scenario.ts';
import { SNAPSHOT_SCENARIOS } from './crash/snapshots.ts';
import { VOLUME_SCENARIOS } from './crash/volumes.ts';
import { SharedWorld } from './shared-world.ts';
import type { World } from './world.ts';

const ATTEMPTS = 4;
const SEED = Number(process.env.FAULT_SEED ?? randomInt(2 ** 31));

const shared = new SharedWorld();
afterAll(async () => shared[Symbol.asyncDispose]());

type Leaving = 'hangs up' | 'reaches its deadline';

/** @returns the code that the caller gets */
async function leave(world: World, scenario: Scenario, how: Leaving, ms: number): Promise<string> {
  const client = calling(world.serve.csi, () =>
    how === 'hangs up' ? { signal: AbortSignal.timeout(ms) } : { timeoutMs: ms },
  );
  return await world.through(client, async () => codeOf(scenario.act(world)));
}

/** Milliseconds that it takes with a caller who stays. */
async function duration(world: World, scenario: Scenario): Promise<number> {
  const start = performance.now();
  await outlast(() => scenario.act(world));
  const taken = performance.now() - start;
  await scenario.revert(world);
  return taken;
}

const scenarios = [...VOLUME_SCENARIOS, ...SNAPSHOT_SCENARIOS, ...MOUNT_SCENARIOS];

describe(`a caller goes away (seed ${SEED})`, () => {
  const random = new Random(SEED);

  test.each(scenarios.map((each) => [each.name, each] as const))('while %s', async (_, scenario) => {
    await shared.play(scenario, async (world, reference) => {
      const usual = await duration(world, scenario);
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const how: Leaving = attempt % 2 === 0 ? 'hangs up' : 'reaches its deadline';
        const code = await leave(world, scenario, how, 1 + random.below(Math.ceil(usual)));
        expect(code).toMatch(how === 'hangs up' ? /^(ok|cancelled)$/ : /^(ok|deadline-exceeded)$/);
        if (attempt >= 2) {
          expect(timeless(await outlast(() => scenario.act(world)))).toEqual(reference.answer);
          await world.settled(reference.after);
        }
        await outlast(() => scenario.revert(world));
        await world.settled(reference.before);
      }
      await world.writers?.expectWriting();
      world.writers?.expectNoStall();
    });
  });
});

test('then everything is deleted, and nothing is left', async () => {
  await shared.close();
});
