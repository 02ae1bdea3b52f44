/**
 * Many clients do what they like to the same few names at once. Each answer must be one that calls one after the other,
 * in some order, would have got; afterwards everything is deleted, and nothing is left.
 *
 * `FAULT_SECONDS` says for how long, `FAULT_SEED` repeats the clients' choices.
 */
import { randomInt } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { codeOf } from '../support/csi.ts';
import { eventually } from '../support/scratch.ts';
import { promisedBytes, Workload } from './workload/workload.ts';
import { World } from './world.ts';

const CLIENTS = 32;
const MIB = 1n << 20n;
/** As world.ts has them. */
const POOL_BYTES = 4n << 30n;
const RATIO = 100n;
const SECONDS = Number(process.env.FAULT_SECONDS ?? 60);
const SEED = Number(process.env.FAULT_SEED ?? randomInt(2 ** 31));

test(`${CLIENTS} clients, for ${SECONDS} s, seed ${SEED}`, async () => {
  await using world = await World.open({ quiet: true });
  const empty = await available(world);
  const workload = new Workload(world);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, async () => world.serve.connect()));
  const end = performance.now() + SECONDS * 1000;
  try {
    await Promise.all(clients.map((csi, i) => workload.client(csi, SEED + i, () => performance.now() > end)));
  } finally {
    for (const csi of clients) csi[Symbol.dispose]();
  }
  await workload.look();
  console.log(`seed ${SEED}: ${workload.recorder.summary()}`);
  expect(workload.recorder.complaints()).toEqual([]);

  // What is offered and what was promised are never more than the pool by its ratio, less its reserve.
  expect((await available(world)) + promisedBytes(world)).toBeLessThanOrEqual((POOL_BYTES * RATIO * 95n) / 100n);

  await workload.deleteEverything();
  await world.expectNothing();
  // The pool's filesystem frees in the background, and keeps some for its own tables.
  await eventually('the space is free again', async () => (await available(world)) > (empty * 98n) / 100n);
  await world.close();
});

test('clients that ask for all of the pool at once get what there is, and no byte twice', async () => {
  await using world = await World.open({ quiet: true, flags: ['--overcommit-ratio', '1'] });
  const share = 12;
  const size = ((await available(world)) / BigInt(share) / MIB) * MIB;
  const names = Array.from({ length: CLIENTS }, (_, i) => `share ${i}`);
  const codes = await Promise.all(names.map(async (name) => codeOf(world.create(name, Number(size)))));
  expect(codes.filter((code) => code === 'ok')).toHaveLength(share);
  expect(codes.filter((code) => code === 'resource-exhausted')).toHaveLength(CLIENTS - share);
  expect(await available(world)).toBeLessThan(size);
  const { entries } = await world.csi.controller.ListVolumes({});
  for (const { volume } of entries) await world.deleteVolume(volume?.volumeId ?? '');
  await world.close();
});

async function available(world: World): Promise<bigint> {
  return BigInt((await world.csi.controller.GetCapacity({})).availableCapacity);
}
