/**
 * A virtual machine whose root is this machine's, read-only (virtiofs), with a layer in memory over it: whatever is
 * installed here runs there, under a kernel that has device-mapper, and nothing it writes comes back.
 *
 * A guest that dies or hangs ends every command under way with the tail of its console. Ends with this process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/core/errors.ts';
import { ROOT } from '../support/command.ts';
import { ensureKernel } from './kernel.ts';
import type { GuestReply, GuestRequest, GuestResult } from './protocol.ts';
import { DEFAULT_SHAPE, type MachineShape, qemuArguments, SOCKETS, virtiofsdArguments } from './qemu.ts';

const BOOT_MS = 120_000;
const EXEC_MS = 300_000;
const POWER_OFF_MS = 15_000;
const SHARE_MS = 10_000;
const CONSOLE_TAIL = 3000;

export interface MachineOptions extends Partial<MachineShape> {
  /** Milliseconds until the guest answers. */
  readonly bootMs?: number;
}

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Milliseconds; a guest that has not answered then is taken for hung, and killed. */
  readonly timeoutMs?: number;
}

/** The guest died or hung: says what its console said last. */
export class GuestError extends Error {
  override readonly name = 'GuestError';
}

interface Waiting {
  readonly resolve: (result: GuestResult) => void;
  readonly reject: (error: Error) => void;
}

export class Machine implements AsyncDisposable {
  readonly #folder: string;
  readonly #qemu: ChildProcess;
  readonly #port: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  /** Why there is no guest any more. */
  #reason = 'the guest died';

  private constructor(folder: string, qemu: ChildProcess, port: Socket) {
    this.#folder = folder;
    this.#qemu = qemu;
    this.#port = port;
    createInterface({ input: port }).on('line', (line) => this.#receive(JSON.parse(line) as GuestReply));
    this.#exited = exitOf(qemu).then(() => this.#failAll());
  }

  /** Resolves when the guest takes commands. @throws GuestError when it does not come up */
  static async start(options: MachineOptions = {}): Promise<Machine> {
    const { bootMs = BOOT_MS, ...shape } = options;
    const kernel = await ensureKernel();
    const folder = await mkdtemp(path.join(tmpdir(), 'vm-'));
    const server = createServer().listen(path.join(folder, SOCKETS.agent));
    // When the guest dies, `exited` says so.
    server.on('connection', (port) => port.on('error', () => undefined));
    const connected = once(server, 'connection') as Promise<[Socket]>;
    await shareRoot(folder);
    const qemu = startProcess(
      qemuArguments(folder, kernel, { ...DEFAULT_SHAPE, ...shape }),
      path.join(folder, 'qemu.log'),
    );
    try {
      const [port] = await withLimit(Promise.race([connected, endOf(qemu)]), bootMs);
      const machine = new Machine(folder, qemu, port);
      await withLimit(Promise.race([machine.#ready.promise, endOf(qemu)]), bootMs);
      return machine;
    } catch (cause) {
      qemu.kill('SIGKILL');
      await exitOf(qemu);
      const said = await tailOf(folder);
      await rm(folder, { recursive: true, force: true });
      throw new GuestError(`the guest did not come up: ${messageOf(cause)}\n${said}`, { cause });
    } finally {
      server.close();
    }
  }

  get pid(): number {
    return this.#qemu.pid ?? 0;
  }

  /**
   * Runs a command in the guest, as root, in the folder of the sources; any exit code is an answer.
   * @throws GuestError when the guest dies, or has not answered in time
   */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<GuestResult> {
    const { cwd = ROOT, env = {}, input = '', timeoutMs = EXEC_MS } = options;
    if (!this.alive) throw new GuestError(`the guest is off: ${argv.join(' ')}`);
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<GuestResult>();
    this.#waiting.set(id, { resolve, reject });
    const request: GuestRequest = { id, argv, cwd, env, input };
    const hung = setTimeout(() => {
      this.#reason = `the guest did not answer within ${timeoutMs} ms: ${argv.join(' ')}`;
      void this.kill();
    }, timeoutMs);
    try {
      this.#port.write(`${JSON.stringify(request)}\n`);
      return await promise;
    } finally {
      clearTimeout(hung);
      this.#waiting.delete(id);
    }
  }

  /** As `exec`, for commands that must succeed. @returns standard output @throws Error with what it said */
  async run(argv: readonly string[], options?: ExecOptions): Promise<string> {
    const { code, signal, stdout, stderr } = await this.exec(argv, options);
    if (code === 0) return stdout;
    throw new Error(`${argv.join(' ')} ended with ${code ?? signal} in the guest:\n${stdout}${stderr}`);
  }

  get alive(): boolean {
    return this.#qemu.exitCode === null && this.#qemu.signalCode === null;
  }

  async console(): Promise<string> {
    return await tailOf(this.#folder);
  }

  /** As a power cut: the guest writes nothing any more. */
  async kill(): Promise<void> {
    this.#qemu.kill('SIGKILL');
    await this.#exited;
  }

  /** Switches it off, gently at first. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.alive) {
      this.#port.write(`${JSON.stringify({ off: true })}\n`);
      await Promise.race([this.#exited, sleep(POWER_OFF_MS, undefined, { ref: false })]);
    }
    await this.kill();
    this.#port.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #receive(reply: GuestReply): void {
    if ('ready' in reply) this.#ready.resolve();
    else this.#waiting.get(reply.id)?.resolve(reply);
  }

  async #failAll(): Promise<void> {
    const error = new GuestError(`${this.#reason}; its console said last:\n${await this.console()}`);
    for (const { reject } of this.#waiting.values()) reject(error);
  }
}

/** virtiofsd serves this machine's root to one guest, and ends with it. */
async function shareRoot(folder: string): Promise<void> {
  const socket = path.join(folder, SOCKETS.root);
  startProcess(virtiofsdArguments(socket), path.join(folder, 'virtiofsd.log'));
  for (let waited = 0; !existsSync(socket); waited += 10) {
    if (waited > SHARE_MS)
      throw new Error(`virtiofsd did not start: ${await readFile(path.join(folder, 'virtiofsd.log'), 'utf8')}`);
    await sleep(10);
  }
}

/** Ends when this process ends, however that ends. */
function startProcess(argv: readonly string[], log: string): ChildProcess {
  const output = openSync(log, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], { stdio: ['ignore', output, output] });
  closeSync(output);
  child.on('error', () => undefined); // it did not start: so it has ended
  return child;
}

async function exitOf(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

async function endOf(child: ChildProcess): Promise<never> {
  await exitOf(child);
  throw new Error('qemu ended');
}

async function withLimit<T>(work: Promise<T>, ms: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function tailOf(folder: string): Promise<string> {
  const files = ['qemu.log', 'virtiofsd.log', 'console'].map((name) => path.join(folder, name));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return texts.join('').slice(-CONSOLE_TAIL);
}
