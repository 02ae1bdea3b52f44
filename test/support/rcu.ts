import { readRcuExpedited, writeRcuExpedited } from '../../src/host/rcu.ts';
import { eventually } from './scratch.ts';

/** The kernel's switch, lowered for a test that wants to see it raised and put back. */
export class Rcu implements AsyncDisposable {
  readonly #before: number | undefined;

  private constructor(before: number | undefined) {
    this.#before = before;
  }

  static async lowered(): Promise<Rcu> {
    const before = await readRcuExpedited();
    if (before !== undefined) await writeRcuExpedited(0);
    return new Rcu(before);
  }

  /** Whether this kernel has it. */
  get known(): boolean {
    return this.#before !== undefined;
  }

  async raised(): Promise<boolean> {
    return (await readRcuExpedited()) === 1;
  }

  async expectPutBack(): Promise<void> {
    await eventually('rcu_expedited is put back', async () => !(await this.raised()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#before !== undefined) await writeRcuExpedited(this.#before);
  }
}
