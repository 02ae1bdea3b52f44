/** `cofferdam guard` as a process that a test stops, kills, and makes fail. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './command.ts';
import { isListening } from './listening.ts';
import { eventually, type Scratch } from './scratch.ts';
import { stateOf } from './serve.ts';

const START_MS = 120_000;

export interface GuardRoleOptions {
  /** Armed from the start; `arm` changes it. */
  readonly failpoints?: string;
  /** In a PID namespace of its own, as in a container; mounts reach it as they reach one with HostToContainer. */
  readonly container?: boolean;
}

export class GuardRole implements AsyncDisposable {
  /** Of the guard itself, as seen from here. */
  pid = 0;
  readonly #scratch: Scratch;
  readonly #options: GuardRoleOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  private constructor(scratch: Scratch, options: GuardRoleOptions) {
    this.#scratch = scratch;
    this.#options = options;
  }

  /** Resolves when agents can join. */
  static async start(scratch: Scratch, options: GuardRoleOptions = {}): Promise<GuardRole> {
    const guard = new GuardRole(scratch, options);
    await guard.arm(options.failpoints ?? '');
    await guard.restart();
    return guard;
  }

  get socket(): string {
    return this.#scratch.path('guard.sock');
  }

  /** A new one at the same socket, after the old one has ended. */
  async restart(): Promise<void> {
    await using log = await open(this.#scratch.path('guard.log'), 'a');
    const apart = ['unshare', '--mount', '--propagation', 'slave', '--pid', '--fork', '--kill-child'];
    const argv = [process.execPath, path.join(ROOT, 'src/main.ts'), 'guard', '--guard-socket', this.socket];
    const test = ['--failpoints', `@${this.#scratch.path('guard-failpoints')}`];
    const [file = '', ...args] = [...(this.#options.container ? apart : []), ...argv, ...test];
    const child = spawn(file, args, { cwd: ROOT, stdio: ['ignore', log.fd, log.fd] });
    this.#child = child;
    this.#exited = once(child, 'exit');
    this.#scratch.owns(child.pid ?? 0);
    await eventually('the guard listens', async () => await this.#listens(), START_MS);
    this.pid = this.#options.container ? await onlyChildOf(child.pid ?? 0) : (child.pid ?? 0);
    this.#scratch.owns(this.pid);
  }

  /** From the next pass on; of nothing: disarms. */
  async arm(failpoints: string): Promise<void> {
    const file = this.#scratch.path('guard-failpoints');
    await writeFile(`${file}.new`, failpoints);
    await rename(`${file}.new`, file);
  }

  stop(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  /** Resolves when a failpoint has stopped it. */
  async stopped(): Promise<void> {
    await eventually('a failpoint stops the guard', async () => (await stateOf(this.pid)) === 'T', START_MS);
  }

  proceed(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async kill(): Promise<void> {
    process.kill(this.pid, 'SIGKILL');
    await this.#exited;
  }

  /** Resolves when it has ended. */
  async ended(): Promise<void> {
    await this.#exited;
  }

  /** As the kubelet would. @returns its exit code */
  async terminate(): Promise<number | null> {
    process.kill(this.pid, 'SIGTERM');
    await this.#exited;
    return this.#child?.exitCode ?? null;
  }

  async log(): Promise<string> {
    return await readFile(this.#scratch.path('guard.log'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  async #listens(): Promise<boolean> {
    if (this.#child?.exitCode !== null) throw new Error(`the guard ended:\n${await this.log()}`);
    return await isListening(this.socket);
  }
}

async function onlyChildOf(pid: number): Promise<number> {
  return Number(await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'));
}
