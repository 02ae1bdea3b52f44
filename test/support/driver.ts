/** Our driver as a process of its own, as a test sees it: a socket, a data folder, a log. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from './command.ts';
import { connectTo } from './csi.ts';
import { isListening } from './listening.ts';

const START_MS = 60_000;
const STOP_MS = 30_000;

export interface DriverOptions {
  /** Holds the socket, the data and the log; its path must be short (a socket path has 107 bytes). */
  readonly folder: string;
  readonly nodeName?: string;
  readonly poolSize?: string;
  /** More flags for `serve`. */
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export class Driver implements AsyncDisposable {
  readonly socket: string;
  readonly endpoint: string;
  readonly logFile: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, socket: string, logFile: string) {
    this.#child = child;
    this.socket = socket;
    this.endpoint = `unix://${socket}`;
    this.logFile = logFile;
  }

  /** Resolves when it is ready. */
  static async start(options: DriverOptions): Promise<Driver> {
    const { folder, nodeName = 'node-a', poolSize = '64GiB', flags = [], env } = options;
    await mkdir(folder, { recursive: true });
    const socket = path.join(folder, 'csi.sock');
    const logFile = path.join(folder, 'driver.log');
    const log = await open(logFile, 'a');
    const main = path.join(ROOT, 'src/main.ts');
    const place = ['--endpoint', `unix://${socket}`, '--data-dir', path.join(folder, 'data')];
    const size = ['--pool-size', poolSize, '--node-name', nodeName];
    // Its standard input is a pipe of ours: when this process dies, the driver ends too.
    const child = spawn(process.execPath, [main, 'serve', '--until-stdin-closes', ...place, ...size, ...flags], {
      cwd: ROOT,
      stdio: ['pipe', log.fd, log.fd],
      env: { ...process.env, ...env },
    });
    await log.close();
    const driver = new Driver(child, socket, logFile);
    try {
      await driver.#ready();
      return driver;
    } catch (cause) {
      await driver[Symbol.asyncDispose]();
      throw new Error(`the driver did not start:\n${await driver.log()}`, { cause });
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async log(): Promise<string> {
    return await readFile(this.logFile, 'utf8');
  }

  /** Asks it to end and waits; @returns its exit code. */
  async stop(): Promise<number> {
    return await this.#end('SIGTERM');
  }

  /** As a power cut would, but for the kernel. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    if (!this.#ended) {
      const exit = once(this.#child, 'exit');
      this.#child.kill(signal);
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
      await exit;
      clearTimeout(timer);
    }
    return this.#child.exitCode ?? 128;
  }

  #hasEnded(): Error {
    const { exitCode, signalCode } = this.#child;
    return new Error(`it ended (${signalCode ?? `exit code ${exitCode}`})`);
  }

  async #ready(): Promise<void> {
    const end = performance.now() + START_MS;
    while (!(await isListening(this.socket))) {
      if (this.#ended) throw this.#hasEnded();
      if (performance.now() > end) throw new Error(`no answer within ${START_MS} ms`);
      await sleep(50);
    }
    using csi = connectTo(this.endpoint);
    const ended = once(this.#child, 'exit').then(() => Promise.reject(this.#hasEnded()));
    await Promise.race([csi.ready(START_MS), ended]);
  }
}
