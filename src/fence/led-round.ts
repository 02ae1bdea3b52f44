/** One round, led: what is asked of whom, and what follows, is in `phases.ts`; here it is done. */
import { DriverError, hasCode, messageOf } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { homeOf, type NodeName, nodeOf } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import {
  type GroupIntent,
  newToken,
  type PreparedNode,
  type RoundMember,
  type RoundPlan,
  type RoundToken,
} from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';
import { type Answer, after, askedIn, type Ending, FIRST_PHASE, isEnding, type Phase, type Roles } from './phases.ts';
import { showingLife } from './signs-of-life.ts';

export interface RoundRequest {
  /** The CO's name of the snapshot or group. */
  readonly name: string;
  readonly group?: GroupIntent;
  readonly members: readonly RoundMember[];
  readonly fenced: boolean;
  /** False only in the test build: every node cuts when it has frozen, and waits for no other. */
  readonly barrier?: boolean;
}

/** How a round went. */
export interface RoundStory {
  readonly request: RoundRequest;
  readonly token: RoundToken;
  readonly nodes: readonly NodeName[];
  /** How long each phase took that was gone through, milliseconds. */
  readonly phaseMs: ReadonlyMap<Phase, number>;
}

export class LedRound {
  readonly records: CutRecord[] = [];
  readonly story: RoundStory & { readonly phaseMs: Map<Phase, number> };
  readonly #members: ReadonlyMap<NodeName, readonly RoundMember[]>;
  readonly #agents: ReadonlyMap<NodeName, NodeAgent>;
  readonly #prepared = new Map<NodeName, PreparedNode>();
  readonly #leaseMs: number;
  readonly #signal: AbortSignal;
  #roles: Roles;
  #failure: unknown;

  constructor(request: RoundRequest, directory: NodeDirectory, leaseMs: number, signal: AbortSignal) {
    this.#members = Map.groupBy(request.members, ({ volumeId }) => nodeOf('volume', volumeId) ?? '');
    const nodes = [...this.#members.keys()];
    this.#agents = new Map(nodes.map((node) => [node, directory.agent(node)]));
    const home = homeOf(nodes);
    this.#roles = { home, others: nodes.filter((node) => node !== home) };
    this.#leaseMs = leaseMs;
    this.#signal = signal;
    this.story = { request, token: newToken(), nodes, phaseMs: new Map() };
  }

  /** What made it fail: the first thing that did. After a decision: what keeps it from being finished. */
  get failure(): unknown {
    return this.#failure;
  }

  async lead(): Promise<Ending> {
    for (let phase: Phase | Ending = FIRST_PHASE; ; ) {
      const started = performance.now();
      const next = after(phase, await this.#go(phase));
      this.story.phaseMs.set(phase, performance.now() - started);
      if (next === 'confirm') this.#failure = undefined; // it was decided after all
      if (isEnding(next)) return next;
      phase = next;
    }
  }

  /** The answers of a phase: of all that were asked, and of what must hold before the next. */
  async #go(phase: Phase): Promise<readonly Answer[]> {
    const answers = await this.#askAll(phase);
    if (answers.every((answer) => answer === 'done')) {
      try {
        await this.#checkAfter(phase);
      } catch (reason) {
        this.#failure ??= reason;
        return ['refused'];
      }
    }
    return answers;
  }

  /** Waits for all, also when one fails, so that nothing is under way any more when the round is undone. */
  async #askAll(phase: Phase): Promise<readonly Answer[]> {
    const asked = askedIn(phase, this.#roles);
    if (this.story.request.barrier === false && (phase === 'freeze' || phase === 'cut')) {
      return phase === 'freeze' ? await this.#withoutBarrier(asked) : [];
    }
    const answers = Promise.all(asked.map((node) => this.#ask(phase, node)));
    const isSlow = phase === 'prepare' || phase === 'cut';
    return isSlow ? await showingLife(answers, this.#leaseMs, (signal) => this.#showLife(signal)) : await answers;
  }

  #showLife(signal: AbortSignal): void {
    for (const node of this.#prepared.keys()) {
      const sign = this.#agents.get(node)?.wait(this.story.token, AbortSignal.any([signal, this.#signal]));
      // Whatever is wrong with it shows when it is to go on.
      sign?.catch(() => undefined);
    }
  }

  async #ask(phase: Phase, node: NodeName): Promise<Answer> {
    const agent = this.#agents.get(node);
    if (!agent) throw new DriverError('internal', `node ${node} is not in round ${this.story.token}`);
    try {
      await this.#call(phase, agent);
      return 'done';
    } catch (reason) {
      const answer = answerOf(phase, reason);
      // A node that is away aborts by itself; one that can't abort has a fault.
      if (phase !== 'abort') this.#failure ??= reason;
      else if (answer === 'refused') this.#failure = cannotUndo(this.story.token, reason);
      return answer;
    }
  }

  async #call(phase: Phase, agent: NodeAgent): Promise<void> {
    const { token } = this.story;
    switch (phase) {
      case 'prepare-home':
      case 'prepare':
        this.#prepared.set(agent.node, await agent.prepare(this.#plan(agent.node), this.#signal));
        return;
      case 'freeze': {
        const { leaseLeftMs } = await agent.freeze(token, this.#signal);
        // It can't reach its cut.
        if (leaseLeftMs > 0) return;
        throw new DriverError('aborted', `the lease of node ${agent.node} ran out before every member was frozen`);
      }
      case 'cut-unfenced':
      case 'cut':
        await agent.cut(token, this.#signal);
        return;
      // From here on not under the caller's signal: what was begun must be finished or undone, also when he has gone.
      case 'decide':
      case 'commit':
      case 'confirm':
        this.records.push(await agent.commit(token, neverAborted()));
        return;
      case 'abort':
      case 'withdraw':
        await agent.abort(token, neverAborted());
        return;
    }
  }

  /** @throws what keeps the round from going on although all have answered */
  async #checkAfter(phase: Phase): Promise<void> {
    if (phase === 'prepare' && this.story.request.fenced) {
      const unfenced = this.#findUnfenced();
      if (unfenced !== undefined) this.#roles = { ...this.#roles, unfenced };
    }
    if (phase === 'prepare' || phase === 'freeze' || phase === 'cut') this.#signal.throwIfAborted();
    if (phase === 'prepare-home') await failpoint('coordinator.prepared-home');
    if (phase === 'prepare') await failpoint('coordinator.prepared');
    if (phase === 'freeze') await failpoint('coordinator.frozen');
    if (phase === 'cut') await failpoint('coordinator.decide');
    if (phase === 'decide') await failpoint('coordinator.decided');
  }

  #plan(node: NodeName): RoundPlan {
    const { token, request } = this.story;
    return {
      token,
      name: request.name,
      ...(request.group && { group: request.group }),
      members: this.#members.get(node) ?? [],
      leaseMs: this.#leaseMs,
      fenced: request.fenced,
    };
  }

  /**
   * The node that holds the one member that can't be stopped.
   * @throws DriverError failed-precondition when there are two: they would be cut at different instants
   */
  #findUnfenced(): NodeName | undefined {
    const unfenced = [...this.#members].flatMap(([node, members]) =>
      members
        .filter((_, i) => this.#prepared.get(node)?.quiescence[i] === 'unfenced')
        .map(({ volumeId }) => ({ node, volumeId })),
    );
    if (unfenced.length > 1) {
      throw new DriverError(
        'failed-precondition',
        `${unfenced.length} members are raw block volumes in use, which the loop backend can't fence ` +
          `(${unfenced.map(({ volumeId }) => volumeId).join(', ')}): a group may hold one at most. ` +
          'Use the lvm-thin backend for raw block volumes, or volumes with a filesystem.',
      );
    }
    return unfenced[0]?.node;
  }

  /** The negative control of the barrier: node after node is frozen and cut. */
  async #withoutBarrier(nodes: readonly NodeName[]): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    for (const node of nodes) {
      const frozen = await this.#ask('freeze', node);
      answers.push(frozen === 'done' ? await this.#ask('cut', node) : frozen);
    }
    return answers;
  }
}

function answerOf(phase: Phase, reason: unknown): Answer {
  if (phase === 'withdraw') return hasCode(reason, 'failed-precondition') ? 'refused' : 'unknown';
  return isUnanswered(reason) ? 'unknown' : 'refused';
}

/** No answer came: it may have been done. */
function isUnanswered(reason: unknown): boolean {
  return hasCode(reason, 'unavailable') || hasCode(reason, 'deadline-exceeded') || hasCode(reason, 'cancelled');
}

function cannotUndo(token: RoundToken, cause: unknown): DriverError {
  return new DriverError('internal', `round ${token} could not be undone: ${messageOf(cause)}`, { cause });
}

function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
