/** The driver dies while it starts: the next start goes on as if it had never been. */
import { readdir } from 'node:fs/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Scratch } from '../support/scratch.ts';
import { DiedError, dataOf, Serve, type ServeOptions } from '../support/serve.ts';
import { FIRST_START, GROWING_START, SECOND_START } from './crash/start.ts';
import { SharedWorld } from './shared-world.ts';
import { World } from './world.ts';

const GiB = 1024 ** 3;

async function expectDeath(scratch: Scratch, options: ServeOptions): Promise<void> {
  const outcome = await Serve.start(scratch, options).catch((error: unknown) => error);
  if (!(outcome instanceof DiedError)) throw new Error('it did not die', { cause: outcome });
  expect(outcome.signal).toBe('SIGKILL');
}

describe('while the pool is made', () => {
  test.each(FIRST_START)('killed at %s', async (point) => {
    await using scratch = await Scratch.open();
    await expectDeath(scratch, { failpoints: `${point}=kill` });
    await using world = await World.enter(scratch);
    expect((await readdir(dataOf(scratch))).toSorted()).toEqual(['lock', 'pool', 'pool.xfs']);
    await world.close();
  });

  test.each(FIRST_START.slice(0, 2))('failing at %s: nothing is left attached', async (point) => {
    await using scratch = await Scratch.open();
    const outcome = await Serve.start(scratch, { failpoints: `${point}=fail:ENOSPC` }).catch((error: unknown) => error);
    expect(outcome).toMatchObject({ name: 'DiedError', signal: null, message: expect.stringContaining('ENOSPC') });
    expect(await scratch.loops()).toEqual([]);
    expect(await scratch.mounts()).toEqual([]);
    await using world = await World.enter(scratch);
    await world.close();
  });
});

test.each(GROWING_START)('killed at %s, while the pool grows', async (point) => {
  await using world = await World.open({ quiet: true, poolSize: '1GiB' });
  await world.serve.stop();
  await expectDeath(world.scratch, { poolSize: '3GiB', failpoints: `${point}=kill` });
  await world.restart({ poolSize: '3GiB', flags: ['--overcommit-ratio', '1', '--pool-reserve', '0'] });
  const { availableCapacity } = await world.csi.controller.GetCapacity({});
  // The filesystem's own log and tables take some.
  expect(Number(availableCapacity)).toBeGreaterThan(2.8 * GiB);
  await world.close();
});

describe('after a crash in the middle of a round', () => {
  const shared = new SharedWorld();
  afterAll(async () => shared[Symbol.asyncDispose]());

  test.each(SECOND_START)('killed again at %s', async (point) => {
    await shared.use(async (world) => {
      const before = await world.footprint();
      await world.serve.arm('snapshot.cut=kill@3');
      const request = { name: 'interrupted', sourceVolumeIds: world.volumeIds };
      await expect(world.csi.group.CreateVolumeGroupSnapshot(request)).rejects.toMatchObject({ code: 'unavailable' });
      await world.serve.died();
      await expectDeath(world.scratch, { failpoints: `${point}=kill` });
      await world.restart();
      await world.settled(before);
      await world.writers?.expectWriting();
      world.writers?.expectNoStall();
    });
  });

  test('then everything is deleted, and nothing is left', async () => {
    await shared.close();
  });
});
