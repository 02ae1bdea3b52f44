/**
 * Failpoints: named places where a test makes the process die, stop, wait or fail. Inert, one look at an empty map,
 * unless `armFailpoints` was called; only the test build can (see core/build.ts).
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument } from './errors.ts';

type Action =
  | { readonly kind: 'kill' }
  /** The whole process, until somebody sends SIGCONT; then it goes on from here. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'fail'; readonly code: string };

interface Armed {
  readonly action: Action;
  /** Passes that go through before it acts. */
  skip: number;
}

const armed = new Map<string, Armed>();

/** A file that is looked at on every pass: a test then arms and disarms a process that runs. */
let followed: { readonly path: string; text: string } | undefined;

/**
 * `name=kill`, `name=stop`, `name=sleep:500`, `name=fail:EIO`, `name=kill@3` (on the third pass), separated by commas.
 * `@/path`: what the file says now, whenever now is; passes are counted from its last change.
 */
export function armFailpoints(spec: string): void {
  if (spec.startsWith('@/')) {
    followed = { path: spec.slice(1), text: '' };
    return;
  }
  for (const item of spec.split(',').filter(Boolean)) {
    const match = /^([a-z.-]+)=(?:(kill|stop)|(sleep):(\d+)|(fail)(?::(\w+))?)(?:@([1-9]\d*))?$/.exec(item);
    if (!match) {
      throw invalidArgument('failpoints', `${JSON.stringify(item)} is not name=kill|stop|sleep:MS|fail:CODE[@N]`);
    }
    const [, name = '', ends, sleeps, ms, , code = 'EIO', pass = 1] = match;
    const action: Action = ends
      ? { kind: ends === 'stop' ? 'stop' : 'kill' }
      : sleeps
        ? { kind: 'sleep', ms: Number(ms) }
        : { kind: 'fail', code };
    armed.set(name, { action, skip: Number(pass) - 1 });
  }
}

export async function failpoint(name: string): Promise<void> {
  if (followed) follow(followed);
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
    case 'stop':
      process.kill(process.pid, 'SIGSTOP');
      break;
    case 'sleep':
      await sleep(point.action.ms);
      break;
    case 'fail':
      // As node:fs fails: so ENOSPC takes the way that a full disk takes.
      throw Object.assign(new Error(`failpoint ${name}: ${point.action.code}`), { code: point.action.code });
  }
}

function follow(file: { readonly path: string; text: string }): void {
  const text = readFileSync(file.path, 'utf8').trim();
  if (text === file.text) return;
  file.text = text;
  armed.clear();
  armFailpoints(text);
}
