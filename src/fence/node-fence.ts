/**
 * The fence on one node: keeps a set of volumes quiet for the length of a lease.
 *
 * The order of things, so that a crash at any line leaves nothing frozen past its lease:
 *   1. descriptors of our own and of the guard are opened; the journal names what will be frozen, and is synced
 *   2. dirty pages are written back, twice: the second pass is short, so the freeze has little left to write
 *   3. the guard freezes, all in parallel; its lease timer runs from here
 *   4. the caller cuts; the guard thaws; the journal entry goes
 *
 * If the agent dies the guard thaws; if the guard dies or hangs the agent thaws by its own descriptors; if both die the
 * next start thaws what the journal lists (`recover`).
 */
import type { Clock } from '../core/clock.ts';
import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { RoundToken } from '../core/round.ts';
import { readRcuExpedited, writeRcuExpedited } from '../host/rcu.ts';
import { GUARD_THREADS, type GuardClient, type GuardProcess } from './guard/client.ts';
import type { GuardRequest } from './guard/protocol.ts';
import type { FreezeJournal } from './journal.ts';
import { FencedMember, type MemberLayers } from './member.ts';

/** How long after the lease the guard may take to thaw before the agent ends it and thaws by itself. */
const GUARD_GRACE_MS = 300;

/** Writing back dirty pages may take long on a slow disk. Longer than this, and the caller had better try again. */
const PREPARE_LIMIT_MS = 30_000;

export interface NodeFenceOptions {
  /** Raise rcu_expedited for the window, where the kernel has it. */
  readonly expediteRcu: boolean;
}

export class NodeFence {
  readonly #guard: GuardClient;
  readonly #journal: FreezeJournal;
  readonly #clock: Clock;
  readonly #options: NodeFenceOptions;
  /** rcu_expedited as it was before the first of the rounds that now run raised it. */
  #rcuBefore: number | undefined;
  #rcuUsers = 0;

  constructor(guard: GuardClient, journal: FreezeJournal, clock: Clock, options: NodeFenceOptions) {
    this.#guard = guard;
    this.#journal = journal;
    this.#clock = clock;
    this.#options = options;
  }

  /** Steps 1 and 2. Nothing is frozen yet. */
  async prepare(token: RoundToken, members: readonly MemberLayers[], signal: AbortSignal): Promise<FenceSession> {
    if (members.length > GUARD_THREADS) {
      const reason = `${members.length} members are in use on this node; ${GUARD_THREADS} can be stopped at one moment`;
      throw new DriverError('failed-precondition', reason);
    }
    const guard = await this.#guard.running();
    const rcuExpedited = await this.#rcu();
    const own: FencedMember[] = [];
    const session = new FenceSession(guard, this.#clock, token, own, async (guardFailed) => {
      if (rcuExpedited !== undefined) this.#rcuUsers--;
      // Else the guard did. While another round runs, it is restored at the end of that one.
      if (rcuExpedited !== undefined && guardFailed && this.#rcuUsers === 0) await writeRcuExpedited(rcuExpedited);
      // All is thawed. What stays in the journal is thawed once more at the next start, which does no harm.
      await this.#journal.remove(token).catch(() => undefined);
    });
    const limit = new AbortController();
    const slow = setTimeout(() => limit.abort(tooSlow()), PREPARE_LIMIT_MS);
    try {
      for (const layers of members) own.push(await FencedMember.open(layers));
      const rcu = rcuExpedited === undefined ? {} : { rcuExpedited };
      await this.#journal.write({ token, members, ...rcu });
      await failpoint('fence.journaled');
      await armed(guard, { op: 'arm', token, members, ...rcu });
      await failpoint('fence.armed');
      for (let pass = 0; pass < 2; pass++) {
        // Not cut short by the caller: what is being written back keeps its filesystem busy.
        await orCancelled(guard.request({ op: 'writeback', token }), limit.signal);
        signal.throwIfAborted();
      }
      return session;
    } catch (error) {
      await session.end();
      throw error;
    } finally {
      clearTimeout(slow);
    }
  }

  async #rcu(): Promise<number | undefined> {
    if (!this.#options.expediteRcu) return undefined;
    if (this.#rcuUsers === 0) {
      const before = await changeableRcu();
      if (this.#rcuUsers === 0) this.#rcuBefore = before;
    }
    if (this.#rcuBefore !== undefined) this.#rcuUsers++;
    return this.#rcuBefore;
  }
}

/**
 * The present value, when it is ours to raise. Undefined where the kernel has none, where this process may not change it
 * (a read-only /sys), and where it is raised already: whoever raised it lowers it, and we must not raise it again then.
 */
async function changeableRcu(): Promise<number | undefined> {
  const now = await readRcuExpedited();
  if (now !== 0) return undefined;
  return await writeRcuExpedited(now).then(
    () => now,
    () => undefined,
  );
}

export interface ThawReport {
  /** In the order of the members. */
  readonly thawedAtMs: readonly number[];
  /** Every member was still held by our freeze when it was thawed. */
  readonly held: boolean;
}

/** One freeze, from prepare to thaw. */
export class FenceSession {
  readonly #guard: GuardProcess;
  readonly #clock: Clock;
  readonly #token: RoundToken;
  readonly #own: readonly FencedMember[];
  readonly #ended: (guardFailed: boolean) => Promise<void>;
  #deadlineMs = 0;
  #mayBeFrozen = false;
  #stopWatching: () => void = () => undefined;
  #end: Promise<ThawReport> | undefined;

  constructor(
    guard: GuardProcess,
    clock: Clock,
    token: RoundToken,
    own: readonly FencedMember[],
    ended: (guardFailed: boolean) => Promise<void>,
  ) {
    this.#guard = guard;
    this.#clock = clock;
    this.#token = token;
    this.#own = own;
    this.#ended = ended;
  }

  /**
   * @returns when each member was frozen, `Clock.monotonicMs`
   * @throws DriverError when not all could be frozen; then none is
   */
  async freeze(leaseMs: number): Promise<readonly number[]> {
    this.#deadlineMs = this.#clock.monotonicMs() + leaseMs;
    this.#mayBeFrozen = this.#guard.alive;
    this.#watch(leaseMs);
    const { frozenAtMs } = await this.#guard.request({
      op: 'freeze',
      token: this.#token,
      deadlineMs: this.#deadlineMs,
    });
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
    // What comes of it is told to whoever ends the session.
    const end = () => void this.end().catch(() => undefined);
    const overdue = setTimeout(end, leaseMs + GUARD_GRACE_MS);
    const forget = this.#guard.onDeath(end);
    this.#stopWatching = () => {
      clearTimeout(overdue);
      forget();
    };
  }

  async #thaw(): Promise<ThawReport> {
    this.#stopWatching();
    let guardFailed = false;
    try {
      const hung = setTimeout(() => void this.#guard.kill(), Math.max(0, this.leaseLeftMs()) + GUARD_GRACE_MS);
      try {
        const { thawedAtMs, heldThroughout } = await this.#guard.request({ op: 'thaw', token: this.#token });
        // A guard that was never armed answers with nothing: then nothing was frozen either.
        return { thawedAtMs, held: thawedAtMs.length === this.#own.length && heldThroughout.every(Boolean) };
      } catch {
        // It died, or could not.
        guardFailed = true;
        return await this.#thawWithoutGuard();
      } finally {
        clearTimeout(hung);
      }
    } finally {
      await Promise.all(this.#own.map((member) => member.close()));
      await this.#ended(guardFailed);
    }
  }

  /**
   * None of the guard's threads can freeze any more: its pipe closed after the last of them was gone. Before the freeze
   * nothing is thawed: what is frozen then was frozen by somebody else.
   */
  async #thawWithoutGuard(): Promise<ThawReport> {
    if (this.#mayBeFrozen) await Promise.all(this.#own.map((member) => member.letGoAnyway()));
    return { thawedAtMs: this.#own.map(() => this.#clock.monotonicMs()), held: false };
  }
}

/** Waited for to its end, so that what was opened is known, and closed. Opening is quick: a guard that can't is hung. */
async function armed(guard: GuardProcess, request: Extract<GuardRequest, { op: 'arm' }>): Promise<void> {
  const hung = setTimeout(() => void guard.kill(), PREPARE_LIMIT_MS);
  try {
    await guard.request(request);
  } finally {
    clearTimeout(hung);
  }
}

function tooSlow(): DriverError {
  return new DriverError(
    'aborted',
    `writing back took longer than ${PREPARE_LIMIT_MS / 1000} s; the next try finds less to write`,
  );
}

/** The wait ends with the signal; the work goes on by itself, and harms nobody. */
async function orCancelled<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: cancelled, reject } = Promise.withResolvers<never>();
  const cancel = () => reject(signal.reason);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await Promise.race([work, cancelled]);
  } finally {
    signal.removeEventListener('abort', cancel);
    work.catch(() => undefined);
  }
}

/** @throws DriverError aborted when the lease has run out */
export function assertLease(session: FenceSession | undefined, step: string): number {
  const left = session?.leaseLeftMs() ?? Number.POSITIVE_INFINITY;
  if (left <= 0) throw new DriverError('aborted', `the lease of the fence ran out before ${step}`);
  return left;
}
