/** Every fault of every process at every step of a round over three nodes. */
import { afterAll, describe, test } from '@jest/globals';
import { FAULTS, meet, SharedClusterWorld } from '../cluster/faults.ts';

const shared = new SharedClusterWorld();
afterAll(async () => shared[Symbol.asyncDispose]());

describe('the group is whole or absent, and nothing stays', () => {
  test.each(FAULTS)('when at $step of $at $victim $kind', async (fault) => {
    await shared.use((world) => meet(world, fault));
  });
});
