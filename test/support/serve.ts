/** `serve` as a process that a test makes fail: its failpoints change while it runs, and its guard can be found. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile, readlink, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isErrno } from '../../src/core/errors.ts';
import { ROOT } from './command.ts';
import { type Csi, connectTo } from './csi.ts';
import { isListening } from './listening.ts';
import { eventually, type Scratch } from './scratch.ts';

export const NODE_NAME = 'node-a';
/** Nothing is frozen for longer. Long enough for a machine that is busy: a lease that runs out fails a round. */
export const LEASE_MS = 3000;

const START_MS = 120_000;
const STOP_MS = 60_000;

let connections = 0;

export interface ServeOptions {
  readonly poolSize?: string;
  readonly flags?: readonly string[];
  /** Armed from the start; `arm` changes it. */
  readonly failpoints?: string;
  /** Of the driver, when `start` resolves; ready unless told. */
  readonly until?: 'listening' | 'ready';
}

export class Serve implements AsyncDisposable {
  readonly csi: Csi;
  readonly #child: ChildProcess;
  readonly #scratch: Scratch;

  private constructor(child: ChildProcess, scratch: Scratch, csi: Csi) {
    this.#child = child;
    this.#scratch = scratch;
    this.csi = csi;
  }

  /** @throws DiedError when it ends before it is what is waited for */
  static async start(scratch: Scratch, options: ServeOptions = {}): Promise<Serve> {
    const { poolSize = '4GiB', flags = [], failpoints = '', until = 'ready' } = options;
    await arm(scratch, failpoints);
    await using log = await open(logOf(scratch), 'a');
    const places = [
      '--endpoint',
      `unix://${socketOf(scratch)}`,
      '--data-dir',
      dataOf(scratch),
      '--node-name',
      NODE_NAME,
    ];
    const limits = ['--pool-size', poolSize, '--lease-ms', String(LEASE_MS), '--overcommit-ratio', '100'];
    const test = ['--failpoints', `@${failpointsOf(scratch)}`];
    const child = spawn(
      process.execPath,
      [path.join(ROOT, 'src/main.ts'), 'serve', ...places, ...limits, ...test, ...flags],
      { cwd: ROOT, stdio: ['ignore', log.fd, log.fd], env: environment() },
    );
    scratch.owns(child.pid ?? 0);
    const alive = async () => {
      if (child.exitCode === null && child.signalCode === null) return;
      throw new DiedError(child.signalCode, await readFile(logOf(scratch), 'utf8'));
    };
    const listens = async () => {
      await alive();
      return await isListening(socketOf(scratch));
    };
    await eventually('the driver listens', listens, START_MS);
    const csi = await clientOf(scratch);
    const isReady = async () => {
      await alive();
      return await csi.identity.Probe({}).then(
        ({ ready }) => ready?.value === true,
        () => false, // it has just died, and has not been reaped
      );
    };
    if (until === 'ready') await eventually('the driver is ready', isReady, START_MS);
    return new Serve(child, scratch, csi);
  }

  /** One more client, with a connection of its own. */
  async connect(): Promise<Csi> {
    return await connect(this.#scratch);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** From the next pass on; of nothing: disarms. */
  async arm(failpoints: string): Promise<void> {
    await arm(this.#scratch, failpoints);
  }

  /** Resolves when it was killed, by itself or by somebody else. @throws Error when it ended otherwise */
  async died(): Promise<void> {
    if (!this.ended) await once(this.#child, 'exit');
    this.csi[Symbol.dispose]();
    if (this.#child.signalCode !== 'SIGKILL')
      throw new Error(`ended with ${this.#child.exitCode}:\n${await this.log()}`);
  }

  /** Resolves when a failpoint has stopped it. */
  async stopped(): Promise<void> {
    await eventually('a failpoint stops the process', async () => (await stateOf(this.pid)) === 'T', START_MS);
  }

  proceed(): void {
    this.#child.kill('SIGCONT');
  }

  halt(): void {
    this.#child.kill('SIGSTOP');
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.died();
  }

  /** Undefined when there is none now. */
  async guard(): Promise<number | undefined> {
    const found = await processesOf(this.#scratch);
    return found.find(({ pid, parent }) => parent === this.pid && pid !== this.pid)?.pid;
  }

  async log(): Promise<string> {
    return await readFile(logOf(this.#scratch), 'utf8');
  }

  /** As systemd would. @throws Error unless it ends well */
  async stop(): Promise<void> {
    this.csi[Symbol.dispose]();
    if (this.ended) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await exit;
    clearTimeout(timer);
    if (this.#child.exitCode !== 0) throw new Error(`did not stop:\n${await this.log()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.csi[Symbol.dispose]();
    if (this.ended) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}

/** The process ended before it served. */
export class DiedError extends Error {
  override readonly name = 'DiedError';
  readonly signal: string | null;

  constructor(signal: string | null, log: string) {
    super(`the driver ended before it served (${signal ?? 'by itself'}):\n${log.slice(-4000)}`);
    this.signal = signal;
  }
}

export interface OurProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** `serve` and its guards, orphans too: those whose errors go to the log in the folder. */
export async function processesOf(scratch: Scratch): Promise<readonly OurProcess[]> {
  return await processesLoggingTo(logOf(scratch));
}

/** A process and all that it started, and did not tell to be quiet. */
export async function processesLoggingTo(file: string): Promise<readonly OurProcess[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const found = await Promise.all(
    pids.map(async (pid): Promise<OurProcess[]> => {
      try {
        if ((await readlink(`/proc/${pid}/fd/2`)) !== file) return [];
        const [status, command] = await Promise.all([statOf(pid), readFile(`/proc/${pid}/cmdline`, 'utf8')]);
        if (status.state === 'Z') return [];
        return [{ pid, parent: status.parent, command: command.replaceAll('\0', ' ').trim() }];
      } catch {
        return []; // it has just ended
      }
    }),
  );
  return found.flat();
}

export function dataOf(scratch: Scratch): string {
  return scratch.path('data');
}

export function logOf(scratch: Scratch): string {
  return scratch.path('driver.log');
}

function socketOf(scratch: Scratch): string {
  return scratch.path('csi.sock');
}

/** By a name of its own: gRPC shares connections to the same name, and waits before it tries a lost one again. */
async function clientOf(scratch: Scratch): Promise<Csi> {
  const name = scratch.path(`s${++connections}`);
  await symlink('csi.sock', name);
  return connectTo(`unix://${name}`);
}

async function connect(scratch: Scratch): Promise<Csi> {
  const csi = await clientOf(scratch);
  await csi.ready(START_MS);
  return csi;
}

function failpointsOf(scratch: Scratch): string {
  return scratch.path('failpoints');
}

/** In one step: the process may look at any time. */
async function arm(scratch: Scratch, failpoints: string): Promise<void> {
  await writeFile(`${failpointsOf(scratch)}.new`, failpoints);
  await rename(`${failpointsOf(scratch)}.new`, failpointsOf(scratch));
}

/** A letter: `R`, `S`, `T` (stopped), `Z` (ended, and not reaped). */
export async function stateOf(pid: number): Promise<string> {
  return (await statOf(pid)).state;
}

/** Also of a process that its parent has not reaped: that one may be stopped. */
export async function hasEnded(pid: number): Promise<boolean> {
  try {
    return (await stateOf(pid)) === 'Z';
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return true;
    throw error;
  }
}

/** proc_pid_stat(5); the name of the program, in brackets, may hold anything. */
async function statOf(pid: number): Promise<{ readonly state: string; readonly parent: number }> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state, parent: Number(parent) };
}

/** Half of a start is spent on stripping types: the cache of an earlier start saves it. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_DISABLE_COMPILE_CACHE: _, ...rest } = process.env;
  return { ...rest, NODE_COMPILE_CACHE: path.join(ROOT, 'node_modules/.cache/serve') };
}
