import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { DriverError, type ErrorCode } from '../../src/core/errors.ts';
import type { Answer, Api, Call } from './node-program.ts';
import { guardOf, type RigOptions } from './rig.ts';
import type { Scratch } from './scratch.ts';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface Surroundings {
  /** In a PID namespace of its own, whose processes all end with it; it can't be stopped then, only killed. */
  readonly container?: boolean;
}

/** The agent of a node as a process of its own, so that it can be stopped and killed. */
export class NodeProcess implements AsyncDisposable {
  readonly pid: number;
  /** Of the last `open`. */
  log: readonly string[] = [];
  readonly #child: ChildProcess;
  readonly #scratch: Scratch;
  readonly #exited: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(child: ChildProcess, scratch: Scratch) {
    this.#child = child;
    this.#scratch = scratch;
    this.pid = child.pid ?? 0;
    scratch.owns(this.pid);
    this.#exited = once(child, 'exit');
    child.on('message', (answer: Answer) => this.#receive(answer));
    void this.#exited.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the node process died'));
      this.#waiting.clear();
    });
  }

  /** Starts the process and opens the storage in it. */
  static async start(
    scratch: Scratch,
    dataDir: string,
    options: RigOptions = {},
    around: Surroundings = {},
  ): Promise<NodeProcess> {
    const node = await NodeProcess.idle(scratch, around);
    node.log = await node.call('open', dataDir, options);
    return node;
  }

  /** Starts the process only. */
  static async idle(scratch: Scratch, { container = false }: Surroundings = {}): Promise<NodeProcess> {
    const apart = { execPath: 'unshare', execArgv: ['--pid', '--fork', '--kill-child', process.execPath] };
    // Not jest's own flags. `advanced`: bigint goes through.
    const child = fork(path.join(import.meta.dirname, 'node-program.ts'), {
      ...(container ? apart : { execArgv: [] }),
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const node = new NodeProcess(child, scratch);
    await new Promise((resolve, reject) => node.#waiting.set(0, { resolve, reject }));
    return node;
  }

  /** @throws DriverError as it was thrown there; Error when the process dies before it answers */
  call<M extends keyof Api>(method: M, ...args: Parameters<Api[M]>): ReturnType<Api[M]> {
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, method, args } satisfies Call);
    });
    return answer as ReturnType<Api[M]>;
  }

  async guard(): Promise<number> {
    const pid = await guardOf(this.pid);
    this.#scratch.owns(pid);
    return pid;
  }

  stop(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  proceed(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async ended(): Promise<void> {
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #receive(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('value' in answer) {
      waiting?.resolve(answer.value);
      return;
    }
    const { code, message } = answer.failed;
    const known = code !== 'not a DriverError';
    waiting?.reject(known ? new DriverError(code as ErrorCode, message) : new Error(message));
  }
}
