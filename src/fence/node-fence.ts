/**
 * The fence on one node: keeps a set of volumes quiet for the length of a lease.
 *
 * The order of things, so that a crash at any line leaves nothing frozen past its lease:
 *   1. descriptors of our own and of the guard are opened
 *   2. dirty pages are written back, twice: the second pass is short, so the freeze has little left to write. In between
 *      the journal names what will be frozen, and is synced: no sooner than it must, since the next start thaws what it
 *      names, whoever froze it
 *   3. the guard freezes, all in parallel; its lease timer runs from here
 *   4. the caller cuts; the guard thaws; the journal entry goes
 *
 * If the agent dies the guard thaws; if the guard dies or hangs the agent thaws by its own descriptors; if both die the
 * next start thaws what the journal lists (`recoverFrozen`).
 */
import path from 'node:path';
import type { Clock } from '../core/clock.ts';
import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { RoundToken } from '../core/round.ts';
import { waitFor } from '../core/wait.ts';
import { BorrowedRcu } from './borrowed-rcu.ts';
import type { FenceObserver } from './fence-observer.ts';
import { FenceSession } from './fence-session.ts';
import { FrozenGauge } from './frozen-gauge.ts';
import type { GuardClient, GuardProcess } from './guard/client.ts';
import { GUARD_THREADS, type GuardRequest } from './guard/protocol.ts';
import type { FreezeJournal } from './journal.ts';
import { FencedMember, type MemberLayers } from './member.ts';

/** Writing back dirty pages may take long on a slow disk. Longer than this, and the caller had better try again. */
const PREPARE_LIMIT_MS = 30_000;

export interface NodeFenceOptions {
  /** Raise rcu_expedited for the window, where the kernel has it. */
  readonly expediteRcu: boolean;
  /** Path of the lock that the guard has a share of for as long as a round may freeze anything, as seen from here. */
  readonly guardLock: string;
}

export class NodeFence {
  readonly #guard: GuardClient;
  readonly #journal: FreezeJournal;
  readonly #clock: Clock;
  readonly #options: NodeFenceOptions;
  readonly #observer: FenceObserver;
  readonly #frozen: FrozenGauge;
  readonly #rcu = new BorrowedRcu();

  constructor(
    guard: GuardClient,
    journal: FreezeJournal,
    clock: Clock,
    observer: FenceObserver,
    options: NodeFenceOptions,
  ) {
    this.#guard = guard;
    this.#journal = journal;
    this.#clock = clock;
    this.#options = options;
    this.#observer = observer;
    this.#frozen = new FrozenGauge((members) => observer.frozenNow(members));
  }

  /** Steps 1 and 2. Nothing is frozen yet. */
  async prepare(token: RoundToken, members: readonly MemberLayers[], signal: AbortSignal): Promise<FenceSession> {
    if (members.length > GUARD_THREADS) {
      const reason = `${members.length} members are in use on this node; ${GUARD_THREADS} can be stopped at one moment`;
      throw new DriverError('failed-precondition', reason);
    }
    const guard = await this.#guard.running();
    const rcuExpedited = this.#options.expediteRcu ? await this.#rcu.borrow() : undefined;
    const own: FencedMember[] = [];
    const failed = (reason: unknown) => this.#observer.notCleanedUp(token, reason);
    const session = new FenceSession(guard, this.#clock, token, own, {
      frozen: (members) => this.#frozen.set(token, members),
      thawed: async (guardFailed) => await this.#rcu.giveBack(rcuExpedited, guardFailed),
      // What stays in the journal is thawed once more at the next start: by then it may be somebody else's freeze.
      settled: async () => await this.#journal.remove(token).catch(failed),
      failed,
    });
    const limit = new AbortController();
    const slow = setTimeout(() => limit.abort(tooSlow()), PREPARE_LIMIT_MS);
    try {
      for (const layers of members) own.push(await FencedMember.open(layers));
      const rcu = rcuExpedited === undefined ? {} : { rcuExpedited };
      const { guardLock } = this.#options;
      await armed(guard, { op: 'arm', token, members, lock: path.basename(guardLock), ...rcu });
      await failpoint('fence.armed');
      await writeBack(guard, token, limit.signal);
      signal.throwIfAborted();
      await this.#journal.write({ token, members, guardLock, ...rcu });
      await failpoint('fence.journaled');
      await writeBack(guard, token, limit.signal);
      signal.throwIfAborted();
      return session;
    } catch (error) {
      await session.end();
      throw error;
    } finally {
      clearTimeout(slow);
    }
  }
}

/** Waited for to its end, so that what was opened is known, and closed. Opening is quick: a guard that can't is hung. */
async function armed(guard: GuardProcess, request: Extract<GuardRequest, { op: 'arm' }>): Promise<void> {
  const hung = setTimeout(() => void guard.giveUp(), PREPARE_LIMIT_MS);
  try {
    await guard.request(request);
  } finally {
    clearTimeout(hung);
  }
}

/** Not cut short by the caller: what is being written back keeps its filesystem busy. */
async function writeBack(guard: GuardProcess, token: RoundToken, limit: AbortSignal): Promise<void> {
  await waitFor(guard.request({ op: 'writeback', token }), { what: 'writing back', signal: limit });
}

function tooSlow(): DriverError {
  return new DriverError(
    'aborted',
    `writing back took longer than ${PREPARE_LIMIT_MS / 1000} s; the next try finds less to write`,
  );
}

/** @throws DriverError aborted when the lease has run out */
export function assertLease(session: FenceSession | undefined, step: string): number {
  const left = session?.leaseLeftMs() ?? Number.POSITIVE_INFINITY;
  if (left <= 0) throw new DriverError('aborted', `the lease of the fence ran out before ${step}`);
  return left;
}
