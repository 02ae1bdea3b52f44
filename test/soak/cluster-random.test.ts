/** Faults at any moment of a round over three nodes. */
import { randomInt } from 'node:crypto';
import { afterAll, test } from '@jest/globals';
import { Random } from '../../src/prove/random.ts';
import { meetAfter, SharedClusterWorld, STRIKES } from '../cluster/faults.ts';

const FAULTS = 200;
/** A round takes a fraction of it on a machine that is idle. */
const LONGEST_MS = 600;
const SEED = Number(process.env.FAULT_SEED ?? randomInt(2 ** 31));

const shared = new SharedClusterWorld();
afterAll(async () => shared[Symbol.asyncDispose]());

const random = new Random(SEED);
const faults = Array.from({ length: FAULTS }, () => ({
  ms: random.below(LONGEST_MS),
  ...(STRIKES[random.below(STRIKES.length)] as (typeof STRIKES)[number]),
}));

test.each(faults)(`after $ms ms $victim $kind (seed ${SEED})`, async ({ ms, ...strike }) => {
  await shared.use((world) => meetAfter(world, ms, strike));
});
