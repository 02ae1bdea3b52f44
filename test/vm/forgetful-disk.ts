/**
 * A disk that is honest about flushes: what it was told to write it keeps in memory until it is told to flush, and when
 * its power is cut it forgets what it was not told to. Killing qemu alone would lose nothing: this machine's page cache
 * has what qemu wrote, flushed or not, so a driver that forgets to flush would pass.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 10_000;

export class ForgetfulDisk implements AsyncDisposable {
  readonly #server: ChildProcess;
  readonly #socket: string;

  private constructor(server: ChildProcess, socket: string) {
    this.#server = server;
    this.#socket = socket;
  }

  /** @param file raw; what was flushed is in it */
  static async start(file: string): Promise<ForgetfulDisk> {
    const socket = `${file}.sock`;
    const plugin = ['--filter=cache', 'file', file, 'cache=writeback'];
    const server = spawn('nbdkit', ['--foreground', '--exit-with-parent', '--unix', socket, ...plugin], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const disk = new ForgetfulDisk(server, socket);
    for (let waited = 0; !existsSync(socket); waited += 10) {
      if (waited > START_MS || server.exitCode !== null) throw new Error('nbdkit did not start');
      await sleep(10);
    }
    return disk;
  }

  /** For `MachineShape.disks`. */
  get url(): string {
    return `nbd+unix:///?socket=${this.#socket}`;
  }

  /** Cuts its power. Whoever writes to it must be dead: a disk without power acknowledges nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.exitCode === null && this.#server.signalCode === null) {
      const exit = once(this.#server, 'exit');
      this.#server.kill('SIGKILL');
      await exit;
    }
    await rm(this.#socket, { force: true });
  }
}
