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

async function isDisturbed(): Promise<boolean> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  for (const pid of pids) {
    const commandLine = await read(`/proc/${pid}/cmdline`);
    if (commandLine.includes('fence/guard/main') && !(await isOurs(pid))) return true;
  }
  return false;
}

/** Below this process; or orphaned, because its agent was killed, which only tests do. */
async function isOurs(pid: number): Promise<boolean> {
  const parent = await parentOf(pid);
  if (parent <= 1) return true;
  let at = parent;
  while (at > 1 && at !== process.pid) at = await parentOf(at);
  return at === process.pid;
}

async function parentOf(pid: number): Promise<number> {
  return Number(/^PPid:\s(\d+)$/m.exec(await read(`/proc/${pid}/status`))?.[1] ?? 0);
}

async function read(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '');
}
