/**
 * A ward is what the guard keeps for one round: the members, whether it stopped them, and until when.
 *
 * INVARIANTS
 * - It thaws only what it froze: what somebody else had frozen (EBUSY) is left alone.
 * - Once over (thawed, expired, or the agent is gone) it stays over: a freeze call that returns late is undone at once.
 * - The deadline is looked at before each freeze and after it, not left to the timer: this process may have been stopped
 *   in between for any length of time, and then nobody else expects anything to be frozen.
 * - Each member is thawed once, and everybody who asks for it waits for that once: a second call would thaw a later
 *   freeze of somebody else, and one that did not wait would close the descriptor that the first is about to use.
 * - Every ioctl runs on a thread; the guard's event loop always answers.
 */
import type { Clock } from '../../core/clock.ts';
import { allSettled } from '../../core/concurrency.ts';
import { failpoint } from '../../core/failpoint.ts';
import { shareLock } from '../../host/file-lock.ts';
import { FencedMember, type MemberLayers } from '../member.ts';

interface Member {
  readonly layers: FencedMember;
  /** Ours to thaw: we have stopped it, if only in part. */
  ours: boolean;
  frozenAtMs: number | undefined;
  thawing: Promise<void> | undefined;
  thawedAtMs: number | undefined;
  /** The freeze was still in force when we thawed it. */
  heldThroughout: boolean;
}

/** Is told what nobody asked for. */
export interface WardWatcher {
  /** These members are not frozen by us, and won't be. */
  free(members: readonly number[]): void;
  /** The lease has ended, and all are thawed: what else is to be undone? */
  expired(): Promise<void>;
}

export class Ward {
  readonly #members: readonly Member[];
  readonly #clock: Clock;
  readonly #watcher: WardWatcher;
  readonly #share: AsyncDisposable | undefined;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #over = false;
  #expired = false;
  #timer: NodeJS.Timeout | undefined;
  #freezing: Promise<unknown> = Promise.resolve();

  /** @param members closed with it @param share let go of when nothing can be frozen any more */
  constructor(members: readonly FencedMember[], clock: Clock, watcher: WardWatcher, share?: AsyncDisposable) {
    this.#members = members.map((layers) => ({
      layers,
      ours: false,
      frozenAtMs: undefined,
      thawing: undefined,
      thawedAtMs: undefined,
      heldThroughout: false,
    }));
    this.#clock = clock;
    this.#watcher = watcher;
    this.#share = share;
  }

  /** @param lock file that the ward has a share of until its end */
  static async open(
    members: readonly MemberLayers[],
    clock: Clock,
    watcher: WardWatcher,
    lock?: string,
  ): Promise<Ward> {
    await using opened = new AsyncDisposableStack();
    const share = lock === undefined ? undefined : opened.use(await shareLock(lock));
    const fenced: FencedMember[] = [];
    for (const layers of members) {
      const member = await FencedMember.open(layers);
      opened.defer(() => member.close());
      fenced.push(member);
    }
    opened.move();
    return new Ward(fenced, clock, watcher, share);
  }

  async writeBack(): Promise<void> {
    await Promise.all(this.#members.map(({ layers }) => layers.writeBack()));
  }

  /** Freezes all, in parallel. On any failure, or past the deadline, all are thawed and it throws. */
  async freeze(deadlineMs: number): Promise<readonly number[]> {
    if (this.#over) throw new Error('the round is over');
    this.#deadlineMs = deadlineMs;
    this.#timer = setTimeout(() => void this.#expire(), Math.max(0, this.#leftMs()));
    const outcomes = Promise.allSettled(this.#members.map((member, place) => this.#freezeOne(member, place)));
    this.#freezing = outcomes;
    const failure = (await outcomes).find((outcome) => outcome.status === 'rejected');
    if (failure) {
      await this.#undo();
      throw failure.reason;
    }
    if (this.#isLate()) {
      await this.#undo();
      throw new Error('the lease ended while the members were being frozen');
    }
    return this.#members.map(({ frozenAtMs }) => frozenAtMs ?? Number.NaN);
  }

  /**
   * Thaws what was frozen. May be called at any time and any number of times; the first thaw is the one reported.
   * @throws SystemError when one can't be thawed; the others are
   */
  async thaw(): Promise<{ readonly thawedAtMs: readonly number[]; readonly heldThroughout: readonly boolean[] }> {
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#thawAll();
    await this.#freezing;
    const failure = (await this.#thawAll()).find((outcome) => outcome.status === 'rejected');
    if (failure) throw failure.reason;
    return {
      thawedAtMs: this.#members.map(({ thawedAtMs }) => thawedAtMs ?? this.#clock.monotonicMs()),
      heldThroughout: this.#members.map(({ heldThroughout }) => heldThroughout && !this.#expired),
    };
  }

  /** Thaws and closes. */
  async end(): Promise<Awaited<ReturnType<Ward['thaw']>>> {
    try {
      return await this.thaw();
    } finally {
      await this.#close();
    }
  }

  /** At the end of the lease. What was held until now was not held until the agent's own thaw: say so. */
  async #expire(): Promise<void> {
    this.#expired = true;
    try {
      await this.#undo();
    } catch {
      // Told to whoever asks for the thaw: nobody waits here.
    }
    // Nor here: what can't be restored now is restored with the next round, or at the next start.
    await this.#watcher.expired().catch(() => undefined);
  }

  /** Thaws without having been asked. */
  async #undo(): Promise<void> {
    await this.thaw();
    this.#watcher.free([...this.#members.keys()]);
  }

  async #freezeOne(member: Member, place: number): Promise<void> {
    if (this.#isLate()) throw new Error('the lease ended before the freeze');
    await failpoint('guard.freeze');
    try {
      await member.layers.stop();
    } catch (error) {
      // Before the rest has ended: somebody else may have it frozen, and must not lose that should we die now.
      if (!member.layers.isStopped) this.#watcher.free([place]);
      throw error;
    } finally {
      member.ours = member.layers.isStopped;
    }
    member.frozenAtMs = this.#clock.monotonicMs();
    if (this.#isLate()) await this.#thawOne(member);
  }

  #isLate(): boolean {
    return this.#over || this.#leftMs() <= 0;
  }

  #leftMs(): number {
    return this.#deadlineMs - this.#clock.monotonicMs();
  }

  async #thawAll(): Promise<readonly PromiseSettledResult<void>[]> {
    return await Promise.allSettled(this.#members.map((member) => this.#thawOne(member)));
  }

  async #thawOne(member: Member): Promise<void> {
    if (!member.ours) return;
    member.thawing ??= member.layers.letGo().then((held) => {
      member.heldThroughout = held;
      member.thawedAtMs = this.#clock.monotonicMs();
    });
    await member.thawing;
  }

  async #close(): Promise<void> {
    await using _share = this.#share;
    await allSettled(this.#members.map(({ layers }) => layers.close()));
  }
}
