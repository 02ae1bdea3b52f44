/**
 * The driver is killed at every failpoint there is, started again, and asked the same again: the answer is that of a run
 * without the crash, and nothing is left of the first attempt.
 */
import { afterAll, describe, expect, test } from '@jest/globals';
import { MOUNT_SCENARIOS } from './crash/mounts.ts';
import { armed, insist, type Outcome, type Reference, type Scenario, timeless } from './crash/scenario.ts';
import { SNAPSHOT_SCENARIOS } from './crash/snapshots.ts';
import { VOLUME_SCENARIOS } from './crash/volumes.ts';
import { SharedWorld } from './shared-world.ts';
import type { World } from './world.ts';

const shared = new SharedWorld();
afterAll(async () => shared[Symbol.asyncDispose]());

async function crashAt(world: World, scenario: Scenario, point: string): Promise<void> {
  await world.serve.arm(armed(point, 'kill'));
  const answer = scenario.act(world).then(
    () => 'answered',
    () => 'not answered',
  );
  if (!scenario.background && (await answer) === 'answered') throw new Error(`${point} was not passed`);
  await world.serve.died();
  await answer;
}

async function repeat(world: World, scenario: Scenario, outcome: Outcome, reference: Reference): Promise<void> {
  const seen = await scenario.peek?.(world);
  if (outcome !== 'unseen') {
    expect(seen === undefined ? 'absent' : 'present').toBe(outcome);
    // Nobody has to ask again for what was half done to go.
    const isDone = outcome === (scenario.answersWithIt ? 'present' : 'absent');
    await world.settled(isDone ? reference.after : reference.before);
  }

  const answer = await insist(() => scenario.act(world));
  expect(timeless(answer)).toEqual(reference.answer);
  // What was committed before the crash is answered as it was, its time too.
  if (scenario.answersWithIt && seen !== undefined) expect(answer).toEqual(seen);
  expect(await insist(() => scenario.act(world))).toEqual(answer);
  await world.settled(reference.after);
}

describe.each(
  [...VOLUME_SCENARIOS, ...SNAPSHOT_SCENARIOS, ...MOUNT_SCENARIOS].map((each) => [each.name, each] as const),
)('%s: killed at', (_, scenario) => {
  test.each(Object.entries(scenario.points))('%s', async (point, outcome) => {
    await shared.play(scenario, async (world, reference) => {
      await crashAt(world, scenario, point);
      await world.restart();
      await world.writers?.expectWriting();
      world.writers?.expectNoStall();
      await repeat(world, scenario, outcome, reference);
      await scenario.revert(world);
      await world.settled(reference.before);
    });
  });
});

test('then everything is deleted, and nothing is left', async () => {
  await shared.close();
});
