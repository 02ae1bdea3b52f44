/** The agent's side of rcu_expedited: its guard raises it and puts it back; what a guard failed to put back the agent does. */
import { readRcuExpedited, writeRcuExpedited } from '../host/rcu.ts';

/** The kernel's switch. */
export interface RcuSwitch {
  read(): Promise<number | undefined>;
  write(value: number): Promise<void>;
}

const KERNEL: RcuSwitch = { read: readRcuExpedited, write: writeRcuExpedited };

export class BorrowedRcu {
  readonly #switch: RcuSwitch;
  /** As it was before the first of the rounds that now run raised it. */
  #before: number | undefined;
  #rounds = 0;
  /** A guard has not put it back. */
  #owed = false;

  constructor(kernel = KERNEL) {
    this.#switch = kernel;
  }

  /** A round begins. @returns what its guard is to put back; undefined: it must leave the switch alone */
  async borrow(): Promise<number | undefined> {
    if (this.#rounds === 0) {
      const before = await this.#changeable();
      if (this.#rounds === 0) this.#before = before;
    }
    if (this.#before !== undefined) this.#rounds++;
    return this.#before;
  }

  /**
   * The round is over. While another one runs nothing is written: the last of them does it.
   * @param before what `borrow` returned
   * @param owed its guard failed, and has not put it back
   * @throws SystemError
   */
  async giveBack(before: number | undefined, owed: boolean): Promise<void> {
    if (before === undefined) return;
    this.#rounds--;
    this.#owed ||= owed;
    if (this.#rounds > 0 || !this.#owed) return;
    await this.#switch.write(before);
    this.#owed = false;
  }

  /**
   * The present value, when it is ours to raise. Undefined where the kernel has none, where this process may not change it
   * (a read-only /sys), and where it is raised already: whoever raised it lowers it, and we must not raise it again then.
   */
  async #changeable(): Promise<number | undefined> {
    const now = await this.#switch.read();
    if (now !== 0) return undefined;
    return await this.#switch.write(now).then(
      () => now,
      () => undefined,
    );
  }
}
