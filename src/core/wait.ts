import { cancelled, DriverError } from './errors.ts';

export interface WaitOptions {
  /** What is waited for, for the message. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Milliseconds; for ever when absent. */
  readonly ms?: number;
}

/** What is waited for goes on. @throws DriverError what the signal says as soon as it fires; unavailable after `ms` */
export async function waitFor<T>(promise: Promise<T>, { what, signal, ms }: WaitOptions): Promise<T> {
  if (signal.aborted) {
    // Nobody waits for it any more: that it fails must not end the process.
    promise.catch(() => undefined);
    throw cancelled(what, signal);
  }
  const { promise: enough, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(cancelled(what, signal));
  const late = () => reject(new DriverError('unavailable', `${what}: no answer within ${ms} ms`));
  const timer = ms === undefined ? undefined : setTimeout(late, ms);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, enough]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
