/** A share of the faults in `faults.ts`, so that each step and each kind has its turn; `npm run test:soak` has all. */
import { afterAll, describe, test } from '@jest/globals';
import { FAULTS, meet, SharedClusterWorld } from './faults.ts';

const shared = new SharedClusterWorld();
afterAll(async () => shared[Symbol.asyncDispose]());

/** Coprime to what the list repeats by. */
const SHARE = 11;

describe('the group is whole or absent, and nothing stays', () => {
  test.each(FAULTS.filter((_, i) => i % SHARE === 0))('when at $step of $at $victim $kind', async (fault) => {
    await shared.use((world) => meet(world, fault));
  });
});
