/** One round of the fence on this node: freezes by the guard, and always ends thawed, with the guard or without it. */
import type { Clock } from '../core/clock.ts';
import { allSettled } from '../core/concurrency.ts';
import type { RoundToken } from '../core/round.ts';
import { type GuardProcess, IDLE_LIMIT_MS } from './guard/client.ts';
import type { FencedMember } from './member.ts';

/**
 * How long a thaw may take the guard before the agent thaws by its own descriptors as well; and how long after the lease
 * it may take to answer at all.
 */
const GUARD_GRACE_MS = 300;

export interface ThawReport {
  readonly thawedAtMs: readonly number[];
  /** Every member was frozen without a break, from the freeze until now. */
  readonly held: boolean;
}

/** Asked and not answered: what is frozen is not known, and more may come for as long as the guard is not gone. */
type Freeze = 'none' | 'asked' | 'answered';

interface Release {
  readonly thawedAtMs: number;
  /** It was frozen until we let it go. */
  readonly held: boolean;
}

/** Told how it goes. */
export interface SessionListener {
  /** So many members are frozen now: all of them, and then none. */
  frozen(members: number): void;
  /** The window is over. @param guardFailed it has not put back what it changed beside the members */
  thawed(guardFailed: boolean): Promise<void>;
  /** All is thawed, and nothing can be frozen any more: the journal need not know of it. */
  settled(): Promise<void>;
  /** After its end, when nobody waits for it any more: something may still be frozen, and stays in the journal. */
  failed(reason: unknown): void;
}

export class FenceSession {
  readonly #guard: GuardProcess;
  readonly #clock: Clock;
  readonly #token: RoundToken;
  /** Descriptors of our own, to thaw by when the guard can't. */
  readonly #own: readonly FencedMember[];
  readonly #listener: SessionListener;
  /** Members that the guard does not have frozen, and won't: if anybody has, it is not ours to thaw. */
  readonly #free = new Set<number>();
  #deadlineMs = 0;
  #freeze: Freeze = 'none';
  /** Thawed before the caller asked for it: no cut may count on it. */
  #cutShort = false;
  /** Whether the guard answered, in the end. */
  #freezeAnswered: Promise<boolean> = Promise.resolve(true);
  #overdue: NodeJS.Timeout | undefined;
  #stopListening: () => void = () => undefined;
  #releases: Promise<readonly Release[]> | undefined;
  #end: Promise<ThawReport> | undefined;

  constructor(
    guard: GuardProcess,
    clock: Clock,
    token: RoundToken,
    own: readonly FencedMember[],
    listener: SessionListener,
  ) {
    this.#guard = guard;
    this.#clock = clock;
    this.#token = token;
    this.#own = own;
    this.#listener = listener;
  }

  /**
   * @returns when each member was frozen, `Clock.monotonicMs`
   * @throws DriverError when not all could be frozen; then none is
   */
  async freeze(leaseMs: number): Promise<readonly number[]> {
    this.#deadlineMs = this.#clock.monotonicMs() + leaseMs;
    this.#watch(leaseMs);
    if (this.#guard.alive) this.#freeze = 'asked';
    const request = { op: 'freeze', token: this.#token, deadlineMs: this.#deadlineMs } as const;
    const { answer, answered } = this.#guard.ask(request);
    this.#freezeAnswered = answered.then((inTheEnd) => {
      if (inTheEnd) this.#freeze = 'answered';
      return inTheEnd;
    });
    const { frozenAtMs } = await answer;
    if (!this.#end) this.#listener.frozen(frozenAtMs.length);
    return frozenAtMs;
  }

  /** Milliseconds; 0 or less: the lease is over, nothing may be cut. */
  leaseLeftMs(): number {
    return this.#deadlineMs - this.#clock.monotonicMs();
  }

  /** Thaws, and ends the session. Always ends thawed; any further call returns what the first one found. */
  end(): Promise<ThawReport> {
    this.#end ??= this.#thaw();
    return this.#end;
  }

  /** Thaws when the guard dies, or still has not when its time is over. */
  #watch(leaseMs: number): void {
    const end = () => {
      this.#cutShort = true;
      // What comes of it is told to whoever ends the session.
      void this.end().catch(() => undefined);
    };
    this.#overdue = setTimeout(end, leaseMs + GUARD_GRACE_MS);
    this.#stopListening = this.#guard.listen(this.#token, {
      lost: end,
      free: (members) => {
        for (const place of members) this.#free.add(place);
      },
    });
  }

  async #thaw(): Promise<ThawReport> {
    clearTimeout(this.#overdue);
    const slow = setTimeout(() => this.#helpOut(), GUARD_GRACE_MS);
    const hung = setTimeout(() => void this.#guard.giveUp(), this.#patienceMs());
    let guardFailed = false;
    let thawed = false;
    try {
      const report = await this.#merge(await this.#guard.request({ op: 'thaw', token: this.#token }));
      thawed = true;
      return report;
    } catch {
      // It died, hangs, or could not.
      guardFailed = true;
      const report = await this.#thawWithoutGuard();
      thawed = true;
      return report;
    } finally {
      clearTimeout(slow);
      clearTimeout(hung);
      this.#stopListening();
      try {
        if (thawed) this.#listener.frozen(0);
        await this.#listener.thawed(guardFailed);
      } finally {
        await this.#settle(thawed);
      }
    }
  }

  /** How long the guard may take for a thaw. To end it fails whatever else it does: not in haste, when nobody waits. */
  #patienceMs(): number {
    return this.#freeze === 'none' ? IDLE_LIMIT_MS : Math.max(0, this.leaseLeftMs()) + GUARD_GRACE_MS;
  }

  /** The guard is slow, or stopped: nobody waits for it with everything frozen. */
  #helpOut(): void {
    // What fails fails again for whoever needs it.
    if (this.#freeze === 'answered') this.#release().catch(() => undefined);
  }

  /** Each member was let go by the guard or by us, and whoever did it saw whether it was frozen until then. */
  async #merge(guard: Omit<ThawReport, 'held'> & { readonly heldThroughout: readonly boolean[] }): Promise<ThawReport> {
    const ours = (await this.#releases?.catch(() => undefined)) ?? [];
    const held = guard.heldThroughout.every((byGuard, place) => byGuard || ours[place]?.held === true);
    return {
      thawedAtMs: guard.thawedAtMs.map((at, place) => (ours[place]?.held ? ours[place].thawedAtMs : at)),
      // A guard that was never armed answers with nothing: then nothing was frozen either.
      held: held && !this.#cutShort && guard.thawedAtMs.length === this.#own.length,
    };
  }

  /** Before the freeze nothing is thawed: what is frozen then was frozen by somebody else. */
  async #thawWithoutGuard(): Promise<ThawReport> {
    // Best when it is gone: then the thaw is final. What a call that is stuck freezes later is for `#settleLate`.
    if (!this.#guard.alive) await this.#guard.lost;
    if (this.#freeze !== 'none') await this.#release();
    return { thawedAtMs: this.#own.map(() => this.#clock.monotonicMs()), held: false };
  }

  /** By our own descriptors, once: what was frozen is thawed then. */
  #release(): Promise<readonly Release[]> {
    this.#releases ??= this.#letGo();
    return this.#releases;
  }

  async #letGo(): Promise<readonly Release[]> {
    // One that fails must not have the others closed while they are let go of.
    return await allSettled(
      this.#own.map(async (member, place) => {
        const held = !this.#free.has(place) && (await member.letGoAnyway());
        // It freezes each only once: what is frozen after that was frozen by somebody else, or another round.
        if (held) this.#free.add(place);
        return { held, thawedAtMs: this.#clock.monotonicMs() };
      }),
    );
  }

  async #settle(thawed: boolean): Promise<void> {
    if (this.#freeze === 'asked' && !this.#guard.gone) {
      // It may take as long as the guard is stopped, or its disk.
      void this.#settleLate(thawed).catch((reason: unknown) => this.#listener.failed(reason));
    } else {
      await this.#close(thawed);
    }
  }

  /**
   * A guard that was given up with a freeze in hand undoes it when it goes on, and answers. One that is gone without an
   * answer may have been killed in a call that the kernel then completed, however late: that is ours to undo.
   */
  async #settleLate(thawed: boolean): Promise<void> {
    let undone = false;
    try {
      if (!(await this.#freezeAnswered)) await this.#letGo();
      undone = true;
    } finally {
      await this.#close(thawed && undone);
    }
  }

  async #close(thawed: boolean): Promise<void> {
    await allSettled(this.#own.map((member) => member.close()));
    if (thawed) await this.#listener.settled();
  }
}
