/** The agent's end of the guard: starts the process when it is first needed, and another when it died. */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { DriverError } from '../../core/errors.ts';
import { type Child, startChild } from '../../host/child.ts';
import type { GuardReply, GuardRequest, ReplyLine } from './protocol.ts';

/** Threads of the guard: a round freezes so many filesystems at once, further ones wait for a thread. */
export const GUARD_THREADS = 128;

/** A guard that is asked to end has nothing frozen any more; one that takes longer than this hangs. */
const DISMISS_LIMIT_MS = 5_000;

interface Waiting {
  readonly resolve: (reply: GuardReply) => void;
  readonly reject: (error: Error) => void;
}

/** Starts guards. A round keeps to the guard it was armed with: a new one knows nothing of what the old one froze. */
export class GuardClient implements AsyncDisposable {
  #starting: Promise<GuardProcess> | undefined;

  /** The running guard; started when there is none. Rounds that begin at the same time share one. */
  async running(): Promise<GuardProcess> {
    for (;;) {
      this.#starting ??= GuardProcess.start();
      const started = this.#starting;
      try {
        const guard = await started;
        if (guard.alive) return guard;
      } finally {
        // Dead, or it never started: the next look starts another, unless somebody else did already.
        if (this.#starting === started && !(await isAlive(started))) this.#starting = undefined;
      }
    }
  }

  /** Lets the guard end by closing its pipe; it thaws whatever it still holds. */
  async [Symbol.asyncDispose](): Promise<void> {
    const started = this.#starting;
    this.#starting = undefined;
    await (await started)?.dismiss();
  }
}

export class GuardProcess {
  readonly #child: Child;
  readonly #requests: Writable;
  readonly #waiting = new Map<number, Waiting>();
  readonly #mourners = new Set<() => void>();
  #lastId = 0;
  #alive = true;

  static async start(): Promise<GuardProcess> {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const main = fileURLToPath(new URL(`./main.${extension}`, import.meta.url));
    // In a process group of its own (detached): a signal to the agent's group must not take both.
    const child = await startChild([process.execPath, '--max-old-space-size=64', '--max-semi-space-size=1', main], {
      env: { UV_THREADPOOL_SIZE: String(GUARD_THREADS) },
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    const { stdin, stdout } = child;
    if (!stdin || !stdout) throw new DriverError('internal', 'the guard was started without pipes');
    return new GuardProcess(child, stdin, stdout);
  }

  private constructor(child: Child, requests: Writable, replies: Readable) {
    this.#child = child;
    this.#requests = requests;
    requests.on('error', () => undefined); // a dead guard is noticed by `exited`
    createInterface({ input: replies }).on('line', (line) => this.#receive(line));
    void child.exited.then(() => this.#died());
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
      this.#requests.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  /** Ends a guard that doesn't answer; resolves when no thread of it can freeze anything any more. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#child.exited;
  }

  async dismiss(): Promise<void> {
    this.#requests.end();
    const hung = setTimeout(() => void this.kill(), DISMISS_LIMIT_MS);
    await this.#child.exited;
    clearTimeout(hung);
  }

  /** Calls back when the guard dies. @returns what takes that back */
  onDeath(mourn: () => void): () => void {
    this.#mourners.add(mourn);
    return () => void this.#mourners.delete(mourn);
  }

  #receive(text: string): void {
    const line = parse(text);
    if (!line) return;
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
    for (const mourn of this.#mourners) mourn();
  }
}

/** Undefined for half a line: the guard died while it wrote. */
function parse(text: string): ReplyLine | undefined {
  try {
    return JSON.parse(text) as ReplyLine;
  } catch {
    return undefined;
  }
}

async function isAlive(started: Promise<GuardProcess>): Promise<boolean> {
  return await started.then(
    (guard) => guard.alive,
    () => false,
  );
}

function guardDied(): DriverError {
  return new DriverError('unavailable', 'the guard process died');
}
