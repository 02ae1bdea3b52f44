/** How long a round waits for its guard before it ends it: that fails whatever else the guard does. */
import { PassThrough } from 'node:stream';
import { afterEach, expect, jest, test } from '@jest/globals';
import { newToken } from '../../../src/core/round.ts';
import { FenceSession } from '../../../src/fence/fence-session.ts';
import { GuardProcess } from '../../../src/fence/guard/client.ts';
import { aWhile, pass, tellTimers } from './support/timers.ts';

afterEach(() => void jest.useRealTimers());

/** A session without members, of a guard that answers when the test does for it. */
function open() {
  tellTimers();
  const replies = new PassThrough();
  const link = { requests: new PassThrough(), replies, gone: new Promise<void>(() => undefined), ended: false };
  const end = async () => {
    link.ended = true;
  };
  const guard = new GuardProcess({ ...link, end });
  const listener = {
    frozen: () => undefined,
    thawed: async () => undefined,
    settled: async () => undefined,
    failed: () => undefined,
  };
  const clock = { monotonicMs: () => Date.now(), wallMs: () => 0 };
  const session = new FenceSession(guard, clock, newToken(), [], listener);
  const answer = (id: number, ok: object) => replies.write(`${JSON.stringify({ id, ok })}\n`);
  return { session, link, answer };
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
