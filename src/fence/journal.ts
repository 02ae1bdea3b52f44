/**
 * What is about to be frozen, written down and synced before it is frozen (docs/design.md, invariant 5).
 * One file per round: `<folder>/<token>.json`. It lies on the host, outside any container, and outside the pool.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { DriverError, isErrno } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { RoundToken } from '../core/round.ts';
import { readBootId } from '../host/boot.ts';
import { writeFileDurably } from '../host/durable-file.ts';
import { exists } from '../host/exists.ts';
import type { MemberLayers } from './member.ts';

export interface JournalEntry {
  readonly token: RoundToken;
  readonly members: readonly MemberLayers[];
  /** Value of rcu_expedited before the round raised it; absent when the round leaves it alone. */
  readonly rcuExpedited?: number;
  /** Lock that its guard has a share of for as long as anything may be frozen by it; absent in older entries. */
  readonly guardLock?: string;
}

const FORMAT = 2;

const ENTRY = /^[0-9a-f]+\.json$/;

/** What `writeFileDurably` leaves. */
const UNFINISHED = /^\.[0-9a-f]+\.json\.[0-9a-f]+\.tmp$/;

export class FreezeJournal {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where recovery mounts what is to be thawed and has no mount. Here, so that the next start finds what a crash leaves. */
  get aside(): string {
    return path.join(this.#folder, 'aside');
  }

  async write(entry: JournalEntry): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const text = JSON.stringify({ format: FORMAT, bootId: await readBootId(), ...entry });
    await writeFileDurably(this.#path(entry.token), `${text}\n`);
  }

  /** Not synced: after a power cut nothing is frozen, and thawing what is not frozen does no harm. */
  async remove(token: RoundToken): Promise<void> {
    await failpoint('journal.remove');
    await rm(this.#path(token), { force: true });
  }

  /**
   * Entries from before the machine was last started are left out: a freeze does not outlive it, and by now the numbers
   * of devices may be those of others.
   * @throws DriverError data-loss when an entry can't be read: something may be frozen that nobody knows of
   */
  async list(): Promise<readonly JournalEntry[]> {
    const names = (await this.#names()).filter((name) => ENTRY.test(name));
    const bootId = await readBootId();
    const entries = await Promise.all(names.map((name) => this.#read(path.join(this.#folder, name), bootId)));
    return entries.filter((entry) => entry !== undefined);
  }

  /**
   * At start, when all that was listed is thawed: removes what else there is, which names nothing frozen. It is from an
   * earlier start of the machine, or a crash left it before it had its name.
   */
  async clear(): Promise<void> {
    for (const name of await this.#names()) {
      if (ENTRY.test(name) || UNFINISHED.test(name)) await rm(path.join(this.#folder, name), { force: true });
    }
  }

  async #names(): Promise<readonly string[]> {
    return (await exists(this.#folder)) ? await readdir(this.#folder) : [];
  }

  /** Undefined for an entry that was removed since, all it named is thawed; and for one of another start. */
  async #read(file: string, bootId: string): Promise<JournalEntry | undefined> {
    try {
      const entry = JSON.parse(await readFile(file, 'utf8')) as JournalEntry & { format: number; bootId: string };
      if (entry.format !== FORMAT || !Array.isArray(entry.members)) throw new Error('unknown format');
      return entry.bootId === bootId ? entry : undefined;
    } catch (cause) {
      if (isErrno(cause, 'ENOENT')) return undefined;
      throw new DriverError('data-loss', `journal entry ${file} can't be read; thaw by hand, then remove it`, {
        cause,
      });
    }
  }

  #path(token: RoundToken): string {
    return path.join(this.#folder, `${token}.json`);
  }
}
