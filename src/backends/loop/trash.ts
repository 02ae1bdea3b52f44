/**
 * What is deleted is first renamed into the trash, which is quick, and then removed behind the caller's back, which for
 * a large or fragmented image is not. What a crash leaves in the trash is removed at the next start.
 */
import { randomBytes } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { isErrno } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { Logger } from '../../core/observe.ts';

export class Trash {
  readonly #folder: string;
  readonly #log: Logger;
  /** One removal at a time: they compete with the volumes for the disk. */
  #emptying: Promise<void> = Promise.resolve();

  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Puts a file or folder away; one that is gone already is fine. */
  async discard(target: string): Promise<void> {
    const name = `${path.basename(target)}-${randomBytes(6).toString('hex')}`;
    try {
      await rename(target, path.join(this.#folder, name));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      throw error;
    }
    this.#remove(name);
  }

  /** Removes what an earlier process left. */
  async emptyLeftovers(): Promise<void> {
    for (const name of await readdir(this.#folder)) this.#remove(name);
  }

  /** Resolves when everything discarded until now is gone. */
  async emptied(): Promise<void> {
    await this.#emptying;
  }

  #remove(name: string): void {
    this.#emptying = this.#emptying
      .then(() => failpoint('trash.remove'))
      .then(() => rm(path.join(this.#folder, name), { recursive: true, force: true }))
      .catch((error: unknown) =>
        this.#log.error({ err: error, name }, 'could not remove from the trash; space stays taken'),
      );
  }
}
