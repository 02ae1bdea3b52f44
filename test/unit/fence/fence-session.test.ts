/** How long a round waits for its guard before it ends it, and what it does without it. */
import { PassThrough } from 'node:stream';
import { afterEach, expect, jest, test } from '@jest/globals';
import { newToken } from '../../../src/core/round.ts';
import { FenceSession } from '../../../src/fence/fence-session.ts';
import { GuardProcess } from '../../../src/fence/guard/client.ts';
import { FencedMember } from '../../../src/fence/member.ts';
import { Layer } from './support/layer.ts';
import { aWhile, pass, tellTimers } from './support/timers.ts';

afterEach(() => void jest.useRealTimers());

/** A session of a guard that answers when the test does for it. */
function open(layers: readonly Layer[] = []) {
  tellTimers();
  const replies = new PassThrough();
  const gone = Promise.withResolvers<void>();
  const link = { requests: new PassThrough(), replies, gone: gone.promise, die: gone.resolve, ended: false };
  const told: string[] = [];
  const end = async () => {
    link.ended = true;
  };
  const guard = new GuardProcess({ ...link, end });
  const listener = {
    frozen: () => undefined,
    thawed: async () => void told.push('thawed'),
    settled: async () => void told.push('settled'),
    failed: () => void told.push('failed'),
  };
  const clock = { monotonicMs: () => Date.now(), wallMs: () => 0 };
  const members = layers.map((layer) => new FencedMember([layer]));
  const session = new FenceSession(guard, clock, newToken(), members, listener);
  const answer = (id: number, ok: object) => replies.write(`${JSON.stringify({ id, ok })}\n`);
  return { session, link, answer, told };
}

test('a guard that is slow to end a round that froze nothing is not ended for it', async () => {
  const { session, link, answer } = open();
  const end = session.end();
  await pass(3000);
  expect(link.ended).toBe(false);
  answer(1, { op: 'thaw', thawedAtMs: [], heldThroughout: [] });
  expect(await end).toMatchObject({ held: true });
});

test('one that does not answer for long is', async () => {
  const { session, link } = open();
  const end = session.end();
  await pass(10_000);
  expect(link.ended).toBe(true);
  expect(await end).toMatchObject({ held: false });
});

test('with something frozen it has until shortly after the lease', async () => {
  const { session, link, answer } = open();
  const freezing = session.freeze(1000);
  answer(1, { op: 'freeze', frozenAtMs: [] });
  await freezing;
  void session.end();
  await pass(1200);
  expect(link.ended).toBe(false);
  await pass(200);
  expect(link.ended).toBe(true);
  await aWhile();
});

/** All are frozen, and the guard dies. */
async function frozenAndLost(layers: readonly Layer[]) {
  const world = open(layers);
  const freezing = world.session.freeze(1000);
  for (const layer of layers) await layer.stop();
  world.answer(1, { op: 'freeze', frozenAtMs: layers.map(() => 0) });
  await freezing;
  world.link.die();
  return world;
}

test('a guard that dies: all are thawed, and the journal need not know of it any more', async () => {
  const layers = [new Layer(), new Layer()];
  const { session, told } = await frozenAndLost(layers);
  await expect(session.end()).resolves.toMatchObject({ held: false });
  expect(layers).toMatchObject([
    { stopped: false, closed: true },
    { stopped: false, closed: true },
  ]);
  expect(told).toEqual(['thawed', 'settled']);
});

test('one that can not be thawed stays in the journal, and the others are closed only when they are thawed', async () => {
  const broken = new Layer([false]);
  const slow = new Layer();
  const thawing = Promise.withResolvers<void>();
  slow.thawing = thawing.promise;
  const { session, told } = await frozenAndLost([broken, slow]);
  const end = expect(session.end()).rejects.toThrow('can not be thawed');
  await aWhile();
  expect(slow.closed).toBe(false);
  thawing.resolve();
  await end;
  expect(slow).toMatchObject({ stopped: false, closed: true });
  expect(told).toEqual(['thawed']);
});
