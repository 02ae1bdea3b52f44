/** Agents without a pool or a kernel: they keep to the rules of a round, note what they are asked, and fail to order. */
import { DriverError } from '../../../src/core/errors.ts';
import type { NodeName, VolumeId } from '../../../src/core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../../../src/core/node-agent.ts';
import type {
  CutNode,
  FrozenNode,
  MemberEvidence,
  PreparedNode,
  Quiescence,
  RoundPlan,
  RoundToken,
} from '../../../src/core/round.ts';
import type { CutRecord } from '../../../src/core/snapshot.ts';
import { compareIds } from '../../../src/core/sorted-index.ts';
import type { RoundObserver } from '../../../src/fence/coordinator.ts';
import { type NodeRoundEvent, type NodeRoundState, nextState } from '../../../src/fence/round-state.ts';

export type Step = 'prepare' | 'wait' | 'freeze' | 'cut' | 'commit' | 'abort';

/** `called` when a step begins, `ended` when it has answered, either way. */
export interface FakeEvent {
  readonly node: NodeName;
  readonly step: Step;
  readonly at: 'called' | 'ended';
}

export interface Script {
  /** Thrown by the step, after it was noted and has taken its time. */
  readonly fail?: Partial<Record<Step, Error>>;
  /** Volumes that are not simply frozen. */
  readonly quiescence?: ReadonlyMap<VolumeId, Quiescence>;
  readonly leaseLeftMs?: number;
  /** Answers of `windowOf`: when the last member was thawed. */
  readonly thawedAtMs?: number;
  /** How many turns of the event loop a step takes; one unless told. */
  readonly turns?: Partial<Record<Step, number>>;
  /** A step is not done before this. */
  readonly wait?: Partial<Record<Step, Promise<void>>>;
  /** The first time, this step is done and its answer does not arrive. */
  readonly loseAnswer?: Step;
  /** Runs when a step begins. */
  readonly onCall?: (step: Step) => void;
}

export class FakeAgent implements NodeAgent {
  readonly node: NodeName;
  readonly plans = new Map<RoundToken, RoundPlan>();
  readonly committed = new Map<RoundToken, CutRecord>();
  readonly #states = new Map<RoundToken, NodeRoundState>();
  readonly #events: FakeEvent[];
  readonly #script: Script;
  #lost = false;

  constructor(node: NodeName, events: FakeEvent[], script: Script = {}) {
    this.node = node;
    this.#events = events;
    this.#script = script;
  }

  /** Members that are frozen now. */
  get frozen(): number {
    return [...this.#states].filter(([, state]) => state === 'frozen').length;
  }

  /** Cuts that are neither committed nor aborted. */
  get undecided(): number {
    return [...this.#states.values()].filter((state) => state === 'frozen' || state === 'sealed').length;
  }

  prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode> {
    return this.#step('prepare', () => {
      signal.throwIfAborted();
      this.plans.set(plan.token, plan);
      this.#states.set(plan.token, 'prepared');
      return {
        quiescence: plan.members.map(({ volumeId }) => this.#script.quiescence?.get(volumeId) ?? 'frozen'),
      };
    });
  }

  wait(token: RoundToken): Promise<void> {
    return this.#step('wait', () => this.#move(token, 'wait'));
  }

  freeze(token: RoundToken): Promise<FrozenNode> {
    return this.#step('freeze', () => {
      this.#move(token, 'freeze');
      return { leaseLeftMs: this.#script.leaseLeftMs ?? 1000 };
    });
  }

  cut(token: RoundToken): Promise<CutNode> {
    return this.#step('cut', () => {
      this.#move(token, 'cut');
      this.#move(token, 'seal');
      return { evidence: this.#evidence(token) };
    });
  }

  commit(token: RoundToken): Promise<CutRecord> {
    return this.#step('commit', () => {
      this.#move(token, 'commit');
      const record = { token, node: this.node, snapshots: [], evidence: this.#evidence(token) };
      this.committed.set(token, record);
      return record;
    });
  }

  abort(token: RoundToken): Promise<void> {
    return this.#step('abort', () => {
      if (this.committed.has(token)) throw new DriverError('failed-precondition', `round ${token} is committed`);
      if (this.#states.has(token)) this.#move(token, 'abort');
    });
  }

  limits(): never {
    return unexpected('limits');
  }
  settle(): never {
    return unexpected('settle');
  }
  sealedParts(): never {
    return unexpected('sealedParts');
  }
  capacity(): never {
    return unexpected('capacity');
  }
  createVolume(): never {
    return unexpected('createVolume');
  }
  claimVolume(): never {
    return unexpected('claimVolume');
  }
  confirmClaim(): never {
    return unexpected('confirmClaim');
  }
  getVolume(): never {
    return unexpected('getVolume');
  }
  listVolumes(): never {
    return unexpected('listVolumes');
  }
  listUnhealthy(): never {
    return unexpected('listUnhealthy');
  }
  deleteVolume(): never {
    return unexpected('deleteVolume');
  }
  expandVolume(): never {
    return unexpected('expandVolume');
  }
  getSnapshot(): never {
    return unexpected('getSnapshot');
  }
  listSnapshots(): never {
    return unexpected('listSnapshots');
  }
  getGroup(): never {
    return unexpected('getGroup');
  }
  deleteSnapshot(): never {
    return unexpected('deleteSnapshot');
  }
  deleteGroup(): never {
    return unexpected('deleteGroup');
  }

  async #step<T>(step: Step, act: () => T): Promise<T> {
    this.#events.push({ node: this.node, step, at: 'called' });
    this.#script.onCall?.(step);
    try {
      await this.#script.wait?.[step];
      for (let turn = this.#script.turns?.[step] ?? 1; turn > 0; turn--) await new Promise(setImmediate);
      const failure = this.#script.fail?.[step];
      if (failure) throw failure;
      const answer = act();
      if (step === this.#script.loseAnswer && !this.#lost) {
        this.#lost = true;
        throw new DriverError('unavailable', 'the connection was lost');
      }
      return answer;
    } finally {
      this.#events.push({ node: this.node, step, at: 'ended' });
    }
  }

  #move(token: RoundToken, event: NodeRoundEvent): void {
    const state = nextState(this.#states.get(token) ?? 'aborted', event);
    if (!state) throw new DriverError('aborted', `${event} of round ${token} is out of order on ${this.node}`);
    this.#states.set(token, state);
  }

  #evidence(token: RoundToken): readonly MemberEvidence[] {
    const thawedAtMs = this.#script.thawedAtMs ?? 3;
    return (this.plans.get(token)?.members ?? []).map(({ volumeId }) => ({
      volumeId,
      quiescence: this.#script.quiescence?.get(volumeId) ?? 'frozen',
      frozenAtMs: 1,
      cutAtMs: 2,
      thawedAtMs,
      leaseLeftMs: 900,
    }));
  }
}

/** For rounds whose story nobody reads. */
export const UNOBSERVED: RoundObserver = {
  committed: () => undefined,
  aborted: () => undefined,
  undecided: () => undefined,
  unfinished: () => undefined,
};

export class FakeDirectory implements NodeDirectory {
  readonly #agents: ReadonlyMap<NodeName, NodeAgent>;

  constructor(agents: readonly NodeAgent[]) {
    this.#agents = new Map(agents.map((agent) => [agent.node, agent]));
  }

  agent(node: NodeName): NodeAgent {
    const agent = this.#agents.get(node);
    if (!agent) throw new DriverError('unavailable', `node ${node} is away`);
    return agent;
  }

  has(node: NodeName): boolean {
    return this.#agents.has(node);
  }

  nodes(): readonly NodeName[] {
    return [...this.#agents.keys()].sort(compareIds);
  }
}

function unexpected(call: string): never {
  throw new Error(`${call} was not expected`);
}
