import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { waitFor } from '../../../src/core/wait.ts';

const NEVER = new AbortController().signal;

test('what it waits for is answered, also its failure', async () => {
  expect(await waitFor(Promise.resolve(7), { what: 'it', signal: NEVER })).toBe(7);
  await expect(waitFor(Promise.reject(new Error('no')), { what: 'it', signal: NEVER })).rejects.toThrow('no');
});

test('the signal ends the wait, with what it says where that is an error of ours', async () => {
  const stop = new AbortController();
  const waiting = waitFor(new Promise(() => undefined), { what: 'it', signal: stop.signal });
  const reason = new DriverError('deadline-exceeded', 'too late');
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const cancelled = { code: 'cancelled', message: 'it was cancelled' };
  await expect(waitFor(Promise.resolve(), { what: 'it', signal: AbortSignal.abort() })).rejects.toMatchObject(
    cancelled,
  );
});

test('nothing but the wait fails when what is not waited for any more fails', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const signal = AbortSignal.abort();
    const { promise: late, reject } = Promise.withResolvers<void>();
    await expect(waitFor(late, { what: 'it', signal })).rejects.toMatchObject({ code: 'cancelled' });
    reject(new Error('late'));
    await sleep(10);
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
