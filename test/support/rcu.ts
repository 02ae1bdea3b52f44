import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readRcuExpedited, writeRcuExpedited } from '../../src/host/rcu.ts';

const PUT_BACK_MS = 20_000;

/** The kernel's switch, lowered for a test that wants to see it raised and put back. */
export class Rcu implements AsyncDisposable {
  readonly #before: number | undefined;
  #disturbed: boolean;

  private constructor(before: number | undefined, disturbed: boolean) {
    this.#before = before;
    this.#disturbed = disturbed;
  }

  static async lowered(): Promise<Rcu> {
    const before = await readRcuExpedited();
    if (before !== undefined) await writeRcuExpedited(0);
    return new Rcu(before, await isDisturbed());
  }

  /** Where the kernel has it. */
  async expectRaised(): Promise<void> {
    await this.#expect(true, 'it is not raised');
  }

  async expectLeftAlone(): Promise<void> {
    await this.#expect(false, 'it is raised');
  }

  async expectPutBack(): Promise<void> {
    const deadline = performance.now() + PUT_BACK_MS;
    while ((await readRcuExpedited()) === 1 && !(await this.#isDisturbed()) && performance.now() < deadline) {
      await sleep(20);
    }
    await this.#expect(false, `it was not put back within ${PUT_BACK_MS} ms`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#before !== undefined) await writeRcuExpedited(this.#before);
  }

  async #expect(raised: boolean, otherwise: string): Promise<void> {
    if (this.#before === undefined || (await this.#isDisturbed())) return;
    if (((await readRcuExpedited()) === 1) !== raised) throw new Error(`rcu_expedited: ${otherwise}`);
  }

  /** The switch is the whole machine's: while another driver runs on it, nothing can be said. */
  async #isDisturbed(): Promise<boolean> {
    this.#disturbed ||= await isDisturbed();
    return this.#disturbed;
  }
}

/** What may be, or start, a driver: the driver, tests, and guards. */
const DRIVERS = /\/src\/main\.ts|jest\.js|node-program\.ts|fence\/guard\/main/;

async function isDisturbed(): Promise<boolean> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  for (const pid of pids) {
    if (DRIVERS.test(await read(`/proc/${pid}/cmdline`)) && !(await isOurs(pid))) return true;
  }
  return false;
}

/** Below this process, or above it; or orphaned, because its agent was killed, which only tests do. */
async function isOurs(pid: number): Promise<boolean> {
  const above = await ancestorsOf(pid);
  return above.length === 0 || above.includes(process.pid) || (await ancestorsOf(process.pid)).includes(pid);
}

/** With the process itself, but for init; nothing for an orphan. */
async function ancestorsOf(pid: number): Promise<readonly number[]> {
  const above: number[] = [];
  for (let at = pid; at > 1; ) {
    above.push(at);
    at = Number(/^PPid:\s(\d+)$/m.exec(await read(`/proc/${at}/status`))?.[1] ?? 0);
  }
  return above.length === 1 ? [] : above;
}

async function read(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '');
}
