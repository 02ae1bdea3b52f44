/**
 * The guard: a process of its own that freezes and thaws for the agent, and thaws without it.
 *
 * It thaws when told to, when a lease ends, and when its pipe closes because the agent died. The kernel closes the pipe
 * only once every thread of the agent is gone. Freezing in this process, not in the agent, has two reasons: a freeze
 * that is stuck takes none of the agent's threads, and a freeze call that is still under way when the agent dies is
 * finished, and undone, here.
 */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type Clock, systemClock } from '../../core/clock.ts';
import { isErrno, messageOf } from '../../core/errors.ts';
import type { RoundToken } from '../../core/round.ts';
import { writeRcuExpedited } from '../../host/rcu.ts';
import type { GuardReply, GuardRequest, ReplyLine, RequestLine } from './protocol.ts';
import { Ward } from './ward.ts';

export class Guard {
  readonly #wards = new Map<RoundToken, Ward>();
  readonly #clock: Clock;
  /** Rounds that want rcu_expedited raised, with the value to restore when the last of them ends. */
  readonly #expedited = new Map<RoundToken, number>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async handle(request: GuardRequest): Promise<GuardReply> {
    const { token } = request;
    switch (request.op) {
      case 'arm': {
        if (this.#wards.has(token)) throw new Error(`round ${token} is armed already`);
        const afterExpiry = () => this.#restoreRcu(token);
        this.#wards.set(token, await Ward.open(request.members, this.#clock, afterExpiry));
        if (request.rcuExpedited !== undefined) this.#expedited.set(token, request.rcuExpedited);
        return { op: 'arm' };
      }
      case 'writeback':
        await this.#ward(token).writeBack();
        return { op: 'writeback' };
      case 'freeze': {
        const ward = this.#ward(token);
        if (this.#expedited.has(token)) await writeRcuExpedited(1);
        return { op: 'freeze', frozenAtMs: await ward.freeze(request.deadlineMs) };
      }
      case 'thaw': {
        try {
          return { op: 'thaw', ...((await this.#wards.get(token)?.end()) ?? { thawedAtMs: [], heldThroughout: [] }) };
        } finally {
          this.#wards.delete(token);
          await this.#restoreRcu(token);
        }
      }
    }
  }

  /** The agent is gone: thaw everything. One that can't be thawed must not keep the others frozen. */
  async abandon(): Promise<void> {
    await Promise.allSettled([...this.#wards.keys()].map((token) => this.handle({ op: 'thaw', token })));
  }

  async #restoreRcu(token: RoundToken): Promise<void> {
    const before = this.#expedited.get(token);
    this.#expedited.delete(token);
    if (before !== undefined && this.#expedited.size === 0) await writeRcuExpedited(before);
  }

  #ward(token: RoundToken): Ward {
    const ward = this.#wards.get(token);
    if (!ward) throw new Error(`round ${token} is not armed`);
    return ward;
  }
}

/** Serves one agent until its end of the pipe closes, however it closes; by then everything is thawed. */
export async function serveGuard(input: Readable, output: Writable, guard = new Guard()): Promise<void> {
  // The agent may be gone before a reply is written; what counts then is the end of the input.
  output.on('error', () => undefined);
  const answer = (line: ReplyLine) => output.write(`${JSON.stringify(line)}\n`);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const request = parse(line);
      if (!request) continue;
      guard.handle(request).then(
        (ok) => answer({ id: request.id, ok }),
        (error: unknown) =>
          answer({
            id: request.id,
            failed: { code: isErrno(error, 'EBUSY') ? 'EBUSY' : 'FAILED', message: messageOf(error) },
          }),
      );
    }
  } finally {
    await guard.abandon();
  }
}

/** Undefined for half a line: the agent died while it wrote. */
function parse(line: string): RequestLine | undefined {
  try {
    return JSON.parse(line) as RequestLine;
  } catch {
    return undefined;
  }
}
