/** A guard as a child of the agent: it goes with a pipe, and can be killed. */
import { DriverError } from '../../core/errors.ts';
import { moduleFile } from '../../core/module-file.ts';
import { startChild } from '../../host/child.ts';
import { closed, type GuardLink, goneOrSoon } from './link.ts';
import { GUARD_THREADS } from './protocol.ts';

/** @param folder of its locks @throws DriverError internal when it can't be started */
export async function startGuard(folder: string): Promise<GuardLink> {
  // In a process group of its own (detached): a signal to the agent's group must not take both.
  const child = await startChild(
    [process.execPath, '--max-old-space-size=64', '--max-semi-space-size=1', moduleFile('fence/guard/main'), folder],
    {
      env: { UV_THREADPOOL_SIZE: String(GUARD_THREADS) },
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    },
  );
  const { stdin: requests, stdout: replies } = child;
  if (!requests || !replies) throw new DriverError('internal', 'the guard was started without pipes');
  requests.on('error', () => undefined); // a dead guard is noticed by `gone`
  const gone = Promise.all([child.exited, closed(replies)]).then(() => undefined);
  return {
    requests,
    replies,
    gone,
    end: async () => {
      child.kill('SIGKILL');
      await goneOrSoon(gone);
    },
  };
}
