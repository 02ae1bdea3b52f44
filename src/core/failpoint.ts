/**
 * Failpoints: named places where a test makes the process die, wait or fail. Inert, one look at an empty map, unless
 * `armFailpoints` was called; only the test build can (see core/build.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument } from './errors.ts';

type Action =
  | { readonly kind: 'kill' }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'fail'; readonly code: string };

interface Armed {
  readonly action: Action;
  /** Passes that go through before it acts. */
  skip: number;
}

const armed = new Map<string, Armed>();

/** `name=kill`, `name=sleep:500`, `name=fail:EIO`, `name=kill@3` (on the third pass), separated by commas. */
export function armFailpoints(spec: string): void {
  for (const item of spec.split(',').filter(Boolean)) {
    const match = /^([a-z.-]+)=(?:(kill)|(sleep):(\d+)|(fail)(?::(\w+))?)(?:@([1-9]\d*))?$/.exec(item);
    if (!match) throw invalidArgument('failpoints', `${JSON.stringify(item)} is not name=kill|sleep:MS|fail:CODE[@N]`);
    const [, name = '', , sleeps, ms, fails, code = 'EIO', pass = 1] = match;
    const action: Action = sleeps
      ? { kind: 'sleep', ms: Number(ms) }
      : fails
        ? { kind: 'fail', code }
        : { kind: 'kill' };
    armed.set(name, { action, skip: Number(pass) - 1 });
  }
}

export async function failpoint(name: string): Promise<void> {
  if (armed.size === 0) return;
  const point = armed.get(name);
  if (!point) return;
  if (point.skip-- > 0) return;
  switch (point.action.kind) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      // The signal is delivered before the next turn of the event loop; never run on.
      await new Promise(() => undefined);
      break;
    case 'sleep':
      await sleep(point.action.ms);
      break;
    case 'fail':
      // As node:fs fails: so ENOSPC takes the way that a full disk takes.
      throw Object.assign(new Error(`failpoint ${name}: ${point.action.code}`), { code: point.action.code });
  }
}
