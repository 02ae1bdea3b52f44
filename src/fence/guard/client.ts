/** The agent's end of the guard: starts the process when it is first needed, and another when it died. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DriverError } from '../../core/errors.ts';
import { type ChildHandle, startChild } from '../../host/child.ts';
import type { GuardReply, GuardRequest, ReplyLine } from './protocol.ts';

/** Threads of the guard: a round freezes so many filesystems at once, further ones wait for a thread. */
const GUARD_THREADS = 128;

interface Waiting {
  readonly resolve: (reply: GuardReply) => void;
  readonly reject: (error: Error) => void;
}

/** Starts guards. A round keeps to the guard it was armed with: a new one knows nothing of what the old one froze. */
export class GuardClient implements AsyncDisposable {
  #process: GuardProcess | undefined;

  /** The running guard; started when there is none. */
  running(): GuardProcess {
    if (!this.#process?.alive) this.#process = new GuardProcess();
    return this.#process;
  }

  /** Lets the guard end by closing its pipe; it thaws whatever it still holds. */
  async [Symbol.asyncDispose](): Promise<void> {
    const guard = this.#process;
    this.#process = undefined;
    await guard?.dismiss();
  }
}

export class GuardProcess {
  readonly #child: ChildHandle;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #alive = true;

  constructor() {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const main = fileURLToPath(new URL(`./main.${extension}`, import.meta.url));
    // In a process group of its own (detached): a signal to the agent's group must not take both.
    this.#child = startChild([process.execPath, '--max-old-space-size=64', '--max-semi-space-size=1', main], {
      env: { UV_THREADPOOL_SIZE: String(GUARD_THREADS) },
      detached: true,
    });
    this.#child.stdin.on('error', () => undefined); // a dead guard is noticed by `exited`
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#receive(JSON.parse(line) as ReplyLine));
    void this.#child.exited.then(() => this.#died());
  }

  get alive(): boolean {
    return this.#alive;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /**
   * @throws DriverError unavailable when the guard dies before it answers; what it froze is then the caller's to thaw
   * @throws DriverError failed-precondition when somebody else holds a filesystem frozen
   */
  request<Request extends GuardRequest>(request: Request): Promise<Extract<GuardReply, { op: Request['op'] }>> {
    if (!this.#alive) return Promise.reject(guardDied());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const waiting = { resolve: resolve as Waiting['resolve'], reject };
      this.#waiting.set(id, waiting);
      this.#child.stdin.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  /** Ends a guard that doesn't answer; resolves when no thread of it can freeze anything any more. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#child.exited;
  }

  async dismiss(): Promise<void> {
    this.#child.stdin.end();
    await this.#child.exited;
  }

  #receive(line: ReplyLine): void {
    const waiting = this.#waiting.get(line.id);
    this.#waiting.delete(line.id);
    if ('ok' in line) {
      waiting?.resolve(line.ok);
      return;
    }
    const { code, message } = line.failed;
    waiting?.reject(
      code === 'EBUSY'
        ? new DriverError('failed-precondition', `somebody else holds the filesystem frozen (${message})`)
        : new DriverError('aborted', `guard: ${message}`),
    );
  }

  #died(): void {
    this.#alive = false;
    for (const { reject } of this.#waiting.values()) reject(guardDied());
    this.#waiting.clear();
  }
}

function guardDied(): DriverError {
  return new DriverError('unavailable', 'the guard process died');
}
