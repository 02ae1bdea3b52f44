/** As in test/cluster/prove.test.ts, for longer. */
import { test } from '@jest/globals';
import { expectToHold, expectToHoldFarAway } from '../cluster/proofs.ts';

const ROUNDS = Number(process.env.PROVE_ROUNDS ?? 100);

test(`${ROUNDS} group snapshots over three nodes under load hold`, () => {
  console.log(expectToHold(ROUNDS));
});

test.each([5, 50])(`${ROUNDS} with %i ms more each way between controller and agents hold`, async (delayMs) => {
  console.log(await expectToHoldFarAway(delayMs, ROUNDS));
});
