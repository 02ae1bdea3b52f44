/**
 * A ward is what the guard keeps for one round: the filesystems, whether it froze them, and until when.
 *
 * INVARIANTS
 * - It thaws only what it froze: a filesystem that somebody else had frozen (EBUSY) is left alone.
 * - Once over (thawed, expired, or the agent is gone) it stays over: a freeze call that returns late is undone at once.
 * - Every ioctl runs on a thread; the guard's event loop always answers.
 */
import type { FileHandle } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';
import { freezeFilesystem, openForFreeze, thawFilesystem } from '../../host/freeze.ts';
import { syncfs } from '../../host/libc.ts';

interface Filesystem {
  readonly mountPoint: string;
  readonly handle: FileHandle;
  frozenAtMs: number | undefined;
  thawedAtMs: number | undefined;
  /** The freeze was still in force when we thawed it. */
  heldThroughout: boolean;
}

export class Ward {
  readonly #filesystems: Filesystem[] = [];
  readonly #clock: Clock;
  #over = false;
  #expired = false;
  #timer: NodeJS.Timeout | undefined;
  #freezing: Promise<unknown> = Promise.resolve();

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  static async open(mountPoints: readonly string[], clock: Clock): Promise<Ward> {
    const ward = new Ward(clock);
    try {
      for (const mountPoint of mountPoints) {
        const handle = await openForFreeze(mountPoint);
        ward.#filesystems.push({
          mountPoint,
          handle,
          frozenAtMs: undefined,
          thawedAtMs: undefined,
          heldThroughout: false,
        });
      }
      return ward;
    } catch (error) {
      await ward.#close();
      throw error;
    }
  }

  async writeBack(): Promise<void> {
    await Promise.all(this.#filesystems.map(({ handle }) => syncfs(handle.fd)));
  }

  /** Freezes all, in parallel. On any failure, or past the deadline, all are thawed and it throws. */
  async freeze(deadlineMs: number): Promise<readonly number[]> {
    if (this.#over) throw new Error('the round is over');
    this.#timer = setTimeout(() => void this.#expire(), Math.max(0, deadlineMs - this.#clock.monotonicMs()));
    const outcomes = Promise.allSettled(this.#filesystems.map((filesystem) => this.#freezeOne(filesystem)));
    this.#freezing = outcomes;
    const failure = (await outcomes).find((outcome) => outcome.status === 'rejected');
    if (failure) {
      await this.thaw();
      throw failure.reason;
    }
    if (this.#over) throw new Error('the lease ended while the filesystems were being frozen');
    return this.#filesystems.map(({ frozenAtMs }) => frozenAtMs ?? Number.NaN);
  }

  /** Thaws what was frozen. May be called at any time and any number of times; the first thaw is the one reported. */
  async thaw(): Promise<{ readonly thawedAtMs: readonly number[]; readonly heldThroughout: readonly boolean[] }> {
    this.#over = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#filesystems.map((filesystem) => this.#thawOne(filesystem)));
    await this.#freezing;
    return {
      thawedAtMs: this.#filesystems.map(({ thawedAtMs }) => thawedAtMs ?? this.#clock.monotonicMs()),
      heldThroughout: this.#filesystems.map(({ heldThroughout }) => heldThroughout && !this.#expired),
    };
  }

  /** Thaws and closes. */
  async end(): Promise<Awaited<ReturnType<Ward['thaw']>>> {
    const thawed = await this.thaw();
    await this.#close();
    return thawed;
  }

  /** At the end of the lease. What was held until now was not held until the agent's own thaw: say so. */
  async #expire(): Promise<void> {
    this.#expired = true;
    await this.thaw();
  }

  async #freezeOne(filesystem: Filesystem): Promise<void> {
    await freezeFilesystem(filesystem.handle.fd);
    filesystem.frozenAtMs = this.#clock.monotonicMs();
    if (this.#over) await this.#thawOne(filesystem);
  }

  async #thawOne(filesystem: Filesystem): Promise<void> {
    if (filesystem.frozenAtMs === undefined || filesystem.thawedAtMs !== undefined) return;
    filesystem.thawedAtMs = Number.NaN; // taken: a second call must not thaw a later freeze of somebody else
    filesystem.heldThroughout = await thawFilesystem(filesystem.handle.fd);
    filesystem.thawedAtMs = this.#clock.monotonicMs();
  }

  async #close(): Promise<void> {
    await Promise.all(this.#filesystems.map(({ handle }) => handle.close()));
  }
}
