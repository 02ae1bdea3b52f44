/**
 * Leads a round over the agents (docs/design.md, "The round"). It keeps nothing: what a round came to is in the pools.
 *
 *   prepare on all ─▶ freeze on all ─▶ barrier ─▶ cut on all (the unfenced member's node first) ─▶ commit on all
 *        └───────────────┴─────────────────┴───────────┴── any failure ─▶ abort on all
 *
 * The first commit is the decision: from then on the round is only ever finished. Until then it is only ever aborted.
 */
import { DriverError, hasCode, messageOf } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import { type NodeName, nodeOf } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import type { GroupIntent } from '../core/round.ts';
import { newToken, type PreparedNode, type RoundMember, type RoundToken } from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';
import { windowOf } from './evidence.ts';

export interface RoundRequest {
  /** The CO's name of the snapshot or group. */
  readonly name: string;
  readonly group?: GroupIntent;
  readonly members: readonly RoundMember[];
  readonly fenced: boolean;
}

export interface RoundObserver {
  /** `windowMs`: the longest over the nodes, from the first freeze call to the last thaw return. */
  committed(request: RoundRequest, token: RoundToken, records: readonly CutRecord[], windowMs: number): void;
  aborted(request: RoundRequest, token: RoundToken, reason: unknown): void;
}

interface Participant {
  readonly agent: NodeAgent;
  readonly members: readonly RoundMember[];
}

export class RoundCoordinator {
  readonly #directory: NodeDirectory;
  readonly #leaseMs: number;
  readonly #observer: RoundObserver;

  constructor(directory: NodeDirectory, leaseMs: number, observer: RoundObserver) {
    this.#directory = directory;
    this.#leaseMs = leaseMs;
    this.#observer = observer;
  }

  /**
   * @returns the committed record of every node
   * @throws DriverError whatever made the round fail; then it left nothing behind
   */
  async run(request: RoundRequest, signal: AbortSignal): Promise<readonly CutRecord[]> {
    const token = newToken();
    const participants = this.#participants(request.members);
    try {
      await this.#fenceAndCut(request, token, participants, signal);
      signal.throwIfAborted();
      await failpoint('coordinator.decide');
    } catch (reason) {
      // Not under the caller's signal: what was begun must be undone, also when the caller has gone.
      try {
        await this.#abort(token, participants);
      } finally {
        this.#observer.aborted(request, token, reason);
      }
      throw reason;
    }
    const records = await this.#commit(request, token, participants);
    this.#observer.committed(request, token, records, windowOf(records));
    return records;
  }

  async #fenceAndCut(
    request: RoundRequest,
    token: RoundToken,
    participants: readonly Participant[],
    signal: AbortSignal,
  ): Promise<void> {
    const plan = (members: readonly RoundMember[]) => ({
      token,
      name: request.name,
      ...(request.group && { group: request.group }),
      members,
      leaseMs: this.#leaseMs,
      fenced: request.fenced,
    });
    const prepared = await onAll(participants, ({ agent, members }) => agent.prepare(plan(members), signal));
    const first = request.fenced ? findUnfenced(participants, prepared) : undefined;

    const frozen = await onAll(participants, ({ agent }) => agent.freeze(token, signal));
    // The barrier: every agent has answered; a lease that has no time left can't reach its cut.
    if (frozen.some(({ leaseLeftMs }) => leaseLeftMs <= 0)) {
      throw new DriverError('aborted', 'the lease ran out before every member was frozen');
    }
    signal.throwIfAborted();

    // Its cut must lie before any thaw on any node: a write that depends on one made after a thaw must not get into it.
    if (first) await first.agent.cut(token, signal);
    await onAll(
      participants.filter((participant) => participant !== first),
      ({ agent }) => agent.cut(token, signal),
    );
  }

  /** Not under the caller's signal: from the first commit on there is no way back. */
  async #commit(
    request: RoundRequest,
    token: RoundToken,
    [decider, ...others]: readonly Participant[],
  ): Promise<readonly CutRecord[]> {
    if (!decider) return [];
    const signal = neverAborted();
    const decision = await decider.agent.commit(token, signal).catch(async (reason: unknown) => {
      // Who is away may have committed, and so may who refuses to abort: then the next call finishes the round.
      if (!hasCode(reason, 'unavailable') && (await succeeds(decider.agent.abort(token, signal)))) {
        await this.#abort(token, others);
        this.#observer.aborted(request, token, reason);
      }
      throw reason;
    });
    return [decision, ...(await onAll(others, ({ agent }) => agent.commit(token, signal)))];
  }

  async #abort(token: RoundToken, participants: readonly Participant[]): Promise<void> {
    const signal = neverAborted();
    const outcomes = await Promise.allSettled(participants.map(({ agent }) => agent.abort(token, signal)));
    // A node that is away aborts by itself: its lease ends, and its uncommitted cut is swept.
    const failed = outcomes.find((outcome) => outcome.status === 'rejected' && !hasCode(outcome.reason, 'unavailable'));
    if (failed?.status === 'rejected') {
      throw new DriverError('internal', `round ${token} could not be undone: ${messageOf(failed.reason)}`, {
        cause: failed.reason,
      });
    }
  }

  #participants(members: readonly RoundMember[]): readonly Participant[] {
    const byNode = Map.groupBy(members, ({ volumeId }) => nodeOf('volume', volumeId) ?? '');
    return [...byNode].map(([node, own]: [NodeName, RoundMember[]]) => ({
      agent: this.#directory.agent(node),
      members: own,
    }));
  }
}

/** Waits for all, also when one fails, so that nothing is under way any more when the round is undone. */
async function onAll<T>(
  participants: readonly Participant[],
  step: (participant: Participant) => Promise<T>,
): Promise<readonly T[]> {
  const outcomes = await Promise.allSettled(participants.map(step));
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/**
 * The node that holds the one member that can't be stopped.
 * @throws DriverError failed-precondition when there are two: they would be cut at different instants
 */
function findUnfenced(
  participants: readonly Participant[],
  prepared: readonly PreparedNode[],
): Participant | undefined {
  const unfenced = participants.flatMap((participant, p) =>
    participant.members
      .filter((_, m) => prepared[p]?.quiescence[m] === 'unfenced')
      .map(({ volumeId }) => ({ participant, volumeId })),
  );
  if (unfenced.length > 1) {
    throw new DriverError(
      'failed-precondition',
      `${unfenced.length} members are raw block volumes in use, which the loop backend can't fence ` +
        `(${unfenced.map(({ volumeId }) => volumeId).join(', ')}): a group may hold one at most. ` +
        'Use the lvm-thin backend for raw block volumes, or volumes with a filesystem.',
    );
  }
  return unfenced[0]?.participant;
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return await work.then(
    () => true,
    () => false,
  );
}

function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
