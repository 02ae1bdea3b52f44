/** The agent's end of the guard: opens a link when it is first needed, and another when the guard has gone. */
import { createInterface } from 'node:readline';
import { DriverError } from '../../core/errors.ts';
import type { RoundToken } from '../../core/round.ts';
import type { GuardLink } from './link.ts';
import { type GuardReply, type GuardRequest, parseLine, type ReplyLine } from './protocol.ts';

/** With nothing frozen nobody waits for its answer: a guard that takes longer than this hangs, or is stopped. */
export const IDLE_LIMIT_MS = 5_000;

interface Waiting {
  readonly answer: PromiseWithResolvers<GuardReply>;
  readonly answered: PromiseWithResolvers<boolean>;
}

type ReplyTo<Request extends GuardRequest> = Extract<GuardReply, { op: Request['op'] }>;

interface Asked<Reply> {
  /** Fails as unavailable when the guard is lost. */
  readonly answer: Promise<Reply>;
  /** Whether it was answered, be it with a failure, before the guard was gone. One that was given up may do so yet. */
  readonly answered: Promise<boolean>;
}

/** What a round hears of its guard without having asked. */
export interface GuardListener {
  /** It died, or was given up: it answers nothing any more. */
  lost(): void;
  /** These members, by their place in the round, are not frozen by the guard, and won't be. */
  free(members: readonly number[]): void;
}

/** A round keeps to the guard it was armed with: another one knows nothing of what the first one froze. */
export class GuardClient implements AsyncDisposable {
  readonly #open: () => Promise<GuardLink>;
  #opening: Promise<GuardProcess> | undefined;

  /** @param open starts a guard, or joins one that runs */
  constructor(open: () => Promise<GuardLink>) {
    this.#open = open;
  }

  /**
   * The guard, when there is none yet a new one. Rounds that begin at the same time share one.
   * @throws DriverError unavailable when there is none to join
   */
  async running(): Promise<GuardProcess> {
    for (;;) {
      this.#opening ??= this.#open().then((link) => new GuardProcess(link));
      const opened = this.#opening;
      try {
        const guard = await opened;
        if (guard.alive) return guard;
      } finally {
        // Dead, or never there: the next look opens another, unless somebody else did already.
        if (this.#opening === opened && !(await isAlive(opened))) this.#opening = undefined;
      }
    }
  }

  /** Parts from the guard by closing our end; it thaws whatever it still holds. */
  async [Symbol.asyncDispose](): Promise<void> {
    const opened = this.#opening;
    this.#opening = undefined;
    await (await opened)?.dismiss();
  }
}

export class GuardProcess {
  readonly #link: GuardLink;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<RoundToken, GuardListener>();
  readonly #lost = Promise.withResolvers<void>();
  #lastId = 0;
  #alive = true;
  #gone = false;
  #givingUp: Promise<void> | undefined;

  constructor(link: GuardLink) {
    this.#link = link;
    createInterface({ input: link.replies })
      .on('line', (line) => this.#receive(line))
      .on('error', () => undefined); // it is gone then
    void link.gone.then(() => this.#end());
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Nothing that it was asked for can be frozen any more. A guard that was given up may not be gone yet. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Resolves when it is gone or was given up. */
  get lost(): Promise<void> {
    return this.#lost.promise;
  }

  /**
   * @throws DriverError unavailable when the guard is lost before it answers; what it froze is then the caller's to thaw
   * @throws DriverError failed-precondition when somebody else holds a filesystem frozen
   */
  async request<Request extends GuardRequest>(request: Request): Promise<ReplyTo<Request>> {
    return await this.ask(request).answer;
  }

  /** As `request`, for whoever wants to know what becomes of it in the end. */
  ask<Request extends GuardRequest>(request: Request): Asked<ReplyTo<Request>> {
    if (!this.#alive) return { answer: Promise.reject(noGuard()), answered: Promise.resolve(false) };
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<GuardReply>();
    const answered = Promise.withResolvers<boolean>();
    this.#waiting.set(id, { answer, answered });
    this.#link.requests.write(`${JSON.stringify({ id, ...request })}\n`);
    return { answer: answer.promise as Promise<ReplyTo<Request>>, answered: answered.promise };
  }

  /** Ends a guard that doesn't answer, as far as it can be ended; resolves when it is lost. */
  giveUp(): Promise<void> {
    this.#alive = false;
    this.#givingUp ??= this.#link.end().then(() => this.#lose());
    return this.#givingUp;
  }

  async dismiss(): Promise<void> {
    this.#link.requests.end();
    const hung = setTimeout(() => void this.giveUp(), IDLE_LIMIT_MS);
    await this.lost;
    clearTimeout(hung);
  }

  /** @returns what takes that back */
  listen(token: RoundToken, listener: GuardListener): () => void {
    this.#listeners.set(token, listener);
    return () => void this.#listeners.delete(token);
  }

  #receive(text: string): void {
    const line = parseLine<ReplyLine>(text);
    if (!line) return;
    if ('free' in line) {
      this.#listeners.get(line.token)?.free(line.free);
      return;
    }
    const waiting = this.#waiting.get(line.id);
    this.#waiting.delete(line.id);
    waiting?.answered.resolve(true);
    if ('ok' in line) {
      waiting?.answer.resolve(line.ok);
      return;
    }
    const { code, message } = line.failed;
    waiting?.answer.reject(
      code === 'EBUSY'
        ? new DriverError('failed-precondition', `somebody else holds the filesystem frozen (${message})`)
        : new DriverError('aborted', `guard: ${message}`),
    );
  }

  #lose(): void {
    this.#alive = false;
    this.#lost.resolve();
    for (const { answer } of this.#waiting.values()) answer.reject(noGuard());
    for (const listener of this.#listeners.values()) listener.lost();
    this.#listeners.clear();
  }

  #end(): void {
    this.#gone = true;
    this.#lose();
    for (const { answered } of this.#waiting.values()) answered.resolve(false);
    this.#waiting.clear();
  }
}

async function isAlive(opened: Promise<GuardProcess>): Promise<boolean> {
  return await opened.then(
    (guard) => guard.alive,
    () => false,
  );
}

function noGuard(): DriverError {
  return new DriverError('unavailable', 'the guard process died, or does not answer');
}
