/**
 * The guard: a process of its own that freezes and thaws for an agent, and thaws without it.
 *
 * It thaws when told to, when a lease ends, and when the agent's end of the link closes because the agent died. The
 * kernel closes that only once every thread of the agent is gone. Freezing in this process, not in the agent, has two
 * reasons: a freeze that is stuck takes none of the agent's threads, and a freeze call that is still under way when the
 * agent dies is finished, and undone, here.
 */
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type Clock, systemClock } from '../../core/clock.ts';
import { isErrno, messageOf } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { RoundToken } from '../../core/round.ts';
import { ExpeditedRcu } from './expedited-rcu.ts';
import {
  type GuardEvent,
  type GuardFailure,
  type GuardReply,
  type GuardRequest,
  parseLine,
  type ReplyLine,
  type RequestLine,
} from './protocol.ts';
import { Ward } from './ward.ts';

/** What one agent has had frozen. */
export class Guard {
  readonly #wards = new Map<RoundToken, Ward>();
  readonly #folder: string;
  readonly #rcu: ExpeditedRcu;
  readonly #clock: Clock;
  #abandoned = false;

  /**
   * @param folder of the locks
   * @param rcu where there are several agents, the one that they share
   */
  constructor(folder: string, rcu = new ExpeditedRcu(), clock: Clock = systemClock) {
    this.#folder = folder;
    this.#rcu = rcu;
    this.#clock = clock;
  }

  /** @param tell what the agent should know without having asked */
  async handle(request: GuardRequest, tell: (event: GuardEvent) => void): Promise<GuardReply> {
    const { token } = request;
    switch (request.op) {
      case 'arm': {
        if (this.#wards.has(token)) throw new Error(`round ${token} is armed already`);
        const watcher = {
          free: (members: readonly number[]) => tell({ token, free: members }),
          expired: () => this.#rcu.putBack(token),
        };
        const lock = request.lock === undefined ? undefined : path.join(this.#folder, path.basename(request.lock));
        const ward = await Ward.open(request.members, this.#clock, watcher, lock);
        if (this.#abandoned) {
          await ward.end();
          throw new Error('the agent is gone');
        }
        this.#wards.set(token, ward);
        if (request.rcuExpedited !== undefined) this.#rcu.want(token, request.rcuExpedited);
        await failpoint('guard.armed');
        return { op: 'arm' };
      }
      case 'writeback':
        await this.#ward(token).writeBack();
        return { op: 'writeback' };
      case 'freeze': {
        const ward = this.#ward(token);
        await this.#rcu.raise(token);
        const frozenAtMs = await ward.freeze(request.deadlineMs);
        await failpoint('guard.frozen');
        return { op: 'freeze', frozenAtMs };
      }
      case 'thaw': {
        try {
          await failpoint('guard.thaw');
          return { op: 'thaw', ...((await this.#wards.get(token)?.end()) ?? { thawedAtMs: [], heldThroughout: [] }) };
        } finally {
          this.#wards.delete(token);
          await this.#rcu.putBack(token);
          await failpoint('guard.thawed');
        }
      }
    }
  }

  /**
   * The agent is gone: thaw everything. One that can't be thawed must not keep the others frozen.
   * @returns the rounds that it has left
   * @throws AggregateError when any can't be thawed
   */
  async abandon(): Promise<readonly RoundToken[]> {
    this.#abandoned = true;
    const tokens = [...this.#wards.keys()];
    const thawed = await Promise.allSettled(tokens.map((token) => this.handle({ op: 'thaw', token }, () => undefined)));
    const failures = thawed.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    if (failures.length > 0) throw new AggregateError(failures, 'something may still be frozen');
    return tokens;
  }

  #ward(token: RoundToken): Ward {
    const ward = this.#wards.get(token);
    if (!ward) throw new Error(`round ${token} is not armed`);
    return ward;
  }
}

/** How an agent left. */
export interface Parting {
  /** Rounds that it had not ended. */
  readonly left: readonly RoundToken[];
  /** Why no more could be read, when it was not the plain end. */
  readonly cause?: unknown;
}

/**
 * Serves one agent until its end of the link closes, however it closes, or until the signal; then everything is thawed.
 * @throws AggregateError when something could not be thawed
 */
export async function serveGuard(
  input: Readable,
  output: Writable,
  guard: Guard,
  signal?: AbortSignal,
): Promise<Parting> {
  // The agent may be gone before a reply is written; what counts then is the end of the input.
  output.on('error', () => undefined);
  const answer = (line: ReplyLine) => void output.write(`${JSON.stringify(line)}\n`);
  const underWay = new Set<Promise<void>>();
  let ending = {};
  try {
    const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, ...(signal && { signal }) });
    for await (const line of lines) {
      const request = parseLine<RequestLine>(line);
      if (!request) continue;
      const handled = guard.handle(request, answer).then(
        (ok) => answer({ id: request.id, ok }),
        (error: unknown) => answer({ id: request.id, failed: failureOf(error) }),
      );
      underWay.add(handled);
      void handled.finally(() => underWay.delete(handled));
    }
  } catch (cause) {
    ending = { cause };
  }
  try {
    return { left: await guard.abandon(), ...ending };
  } finally {
    // Whoever sees our end close may rely on it that no call into the kernel is under way.
    await Promise.all(underWay);
  }
}

function failureOf(error: unknown): GuardFailure {
  return { code: isErrno(error, 'EBUSY') ? 'EBUSY' : 'FAILED', message: messageOf(error) };
}
