/** The kernel's one switch, raised for as long as any round wants it; shared by all agents that a guard serves. */
import { isErrno } from '../../core/errors.ts';
import type { RoundToken } from '../../core/round.ts';
import { writeRcuExpedited } from '../../host/rcu.ts';

export class ExpeditedRcu {
  /** Rounds that want it raised, with the value to put back when the last of them ends. */
  readonly #before = new Map<RoundToken, number>();
  /** A write never overtakes another: what was put back would be raised for good. */
  #lastWrite: Promise<void> = Promise.resolve();

  /** @param before value to put back */
  want(token: RoundToken, before: number): void {
    this.#before.set(token, before);
  }

  /**
   * Does nothing for a round that doesn't want it, or has ended; nor where this process may not: the agent may, in its
   * container, and the round only takes longer.
   * @throws SystemError
   */
  async raise(token: RoundToken): Promise<void> {
    await this.#inTurn(async () => {
      if (!this.#before.has(token)) return;
      await writeRcuExpedited(1).catch((error: unknown) => {
        if (!isErrno(error, 'EROFS', 'EACCES', 'EPERM', 'ENOENT')) throw error;
        this.#before.delete(token);
      });
    });
  }

  /** @throws SystemError */
  async putBack(token: RoundToken): Promise<void> {
    await this.#inTurn(async () => {
      const before = this.#before.get(token);
      this.#before.delete(token);
      if (before !== undefined && this.#before.size === 0) await writeRcuExpedited(before);
    });
  }

  async #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#lastWrite.then(write);
    this.#lastWrite = written.catch(() => undefined);
    await written;
  }
}
