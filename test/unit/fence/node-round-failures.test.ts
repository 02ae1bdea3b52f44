/** What fails on a node: nothing of the round stays for that. */
import { expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { NodeWorld } from './support/node-world.ts';

const NEVER = new AbortController().signal;
const broken = new DriverError('internal', 'the disk is on fire');

test('what a preparation that failed had made is deleted', async () => {
  const world = new NodeWorld();
  world.failAt('prepareCut', broken);
  await expect(world.rounds.prepare(world.plan(), NEVER)).rejects.toBe(broken);
  expect(world.events.at(-1)).toBe('abortCut');
  expect(world.locks.size).toBe(0);
});

test('a member that can not be thawed fails the abort, and its cut is deleted all the same', async () => {
  const world = new NodeWorld();
  const { token } = await world.until('freeze', world.plan());
  world.failAt('thaw', broken);
  await expect(world.rounds.abort(token)).rejects.toBe(broken);
  expect(world.events.at(-1)).toBe('abortCut');
  expect(world.locks.size).toBe(0);
});
