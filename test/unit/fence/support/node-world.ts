/** `NodeRounds` over a pool and a fence in memory, which note what they are asked, wait where they are told, and fail to order. */
import type { Backend, FenceTarget } from '../../../../src/core/backend.ts';
import { DriverError } from '../../../../src/core/errors.ts';
import { groupId, memberSnapshotId, snapshotId, volumeId } from '../../../../src/core/ids.ts';
import { KeyedLocks } from '../../../../src/core/locks.ts';
import { newToken, type RoundPlan, type RoundToken } from '../../../../src/core/round.ts';
import type { CutRecord } from '../../../../src/core/snapshot.ts';
import { compareIds } from '../../../../src/core/sorted-index.ts';
import type { NodeFence } from '../../../../src/fence/node-fence.ts';
import { NodeRounds } from '../../../../src/fence/node-round.ts';

export const NODE = 'node-b';
export const LEASE_MS = 1000;
export const VOLUMES = ['one', 'two'].map((name) => volumeId(NODE, name));

export type Step = 'prepareCut' | 'cutMember' | 'sealCut' | 'commitCut' | 'abortCut' | 'arm' | 'freeze' | 'thaw';

/** Something is held up at a step until it is let go. */
export interface Gate {
  readonly reached: Promise<void>;
  open(): void;
}

export class NodeWorld {
  /** What was done, in its order; `cutMember ▶` when it begins, `cutMember` when it is done. */
  readonly events: string[] = [];
  readonly locks = new KeyedLocks();
  readonly notCleanedUp: unknown[] = [];
  leasesLost = 0;
  /** Nobody uses the members. */
  idle = false;
  /** What sessions say at their end: whether everybody stood still until then. */
  held = true;
  /** What a commit fails with when it has been made. */
  failsCommitted: Error | undefined;
  readonly committed = new Map<RoundToken, CutRecord>();
  readonly sealed = new Map<RoundToken, RoundPlan>();
  readonly rounds: NodeRounds;
  readonly #plans = new Map<RoundToken, RoundPlan>();
  readonly #gates = new Map<Step, { readonly reach: () => void; readonly opened: Promise<void> }>();
  readonly #failures = new Map<Step, Error>();

  constructor() {
    this.rounds = new NodeRounds({
      backend: this.#pool(),
      fence: { prepare: () => this.#session() } as unknown as NodeFence,
      clock: { monotonicMs: () => performance.now(), wallMs: () => 0 },
      observer: {
        frozenNow: () => undefined,
        leaseLost: () => void this.leasesLost++,
        notCleanedUp: (_token, reason) => void this.notCleanedUp.push(reason),
      },
      locks: this.locks,
      budgetMs: LEASE_MS,
    });
  }

  /** Of a group whose home is this node, or `node-a`; of no group. */
  plan(home: 'here' | 'elsewhere' | 'none' = 'elsewhere', name = 'group'): RoundPlan {
    const plan = { token: newToken(), name, leaseMs: LEASE_MS, fenced: true };
    if (home === 'none') {
      return {
        ...plan,
        members: VOLUMES.slice(0, 1).map((id) => ({ volumeId: id, snapshotId: snapshotId(NODE, name) })),
      };
    }
    const members = VOLUMES.map((id) => ({ volumeId: id, snapshotId: memberSnapshotId(NODE, name, id) }));
    const elsewhere = volumeId(home === 'here' ? 'node-c' : 'node-a', 'there');
    const id = groupId(home === 'here' ? NODE : 'node-a', name);
    return {
      ...plan,
      members,
      group: { id, name, volumeIds: [elsewhere, ...VOLUMES].toSorted(compareIds), parameters: {} },
    };
  }

  /** Holds up whatever comes to this step from now on. */
  stopAt(step: Step): Gate {
    const reached = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    this.#gates.set(step, { reach: reached.resolve, opened: opened.promise });
    return {
      reached: reached.promise,
      open: () => {
        this.#gates.delete(step);
        opened.resolve();
      },
    };
  }

  /** The next time it comes to this step it fails so. */
  failAt(step: Step, failure: Error): void {
    this.#failures.set(step, failure);
  }

  /** As far as this step, without a fault. */
  async until(last: 'prepare' | 'freeze' | 'cut', plan: RoundPlan): Promise<RoundPlan> {
    await this.rounds.prepare(plan, new AbortController().signal);
    if (last !== 'prepare') await this.rounds.freeze(plan.token);
    if (last === 'cut') await this.rounds.cut(plan.token);
    return plan;
  }

  async #at(step: Step): Promise<void> {
    this.events.push(`${step} ▶`);
    const gate = this.#gates.get(step);
    gate?.reach();
    await gate?.opened;
    const failure = this.#failures.get(step);
    this.#failures.delete(step);
    if (failure) throw failure;
    this.events.push(step);
  }

  async #session() {
    await this.#at('arm');
    let deadlineMs = 0;
    let end: Promise<{ readonly thawedAtMs: readonly number[]; readonly held: boolean }> | undefined;
    const thaw = async () => {
      await this.#at('thaw');
      return { thawedAtMs: VOLUMES.map(() => performance.now()), held: this.held };
    };
    return {
      freeze: async (leaseMs: number) => {
        deadlineMs = performance.now() + leaseMs;
        await this.#at('freeze');
        return VOLUMES.map(() => performance.now());
      },
      leaseLeftMs: () => deadlineMs - performance.now(),
      end: () => {
        end ??= thaw();
        return end;
      },
    };
  }

  #pool(): Backend {
    const target: FenceTarget = {
      kind: 'fenced',
      layers: [{ kind: 'filesystem', mountPoint: '/nowhere', devNumber: '7:99999' }],
    };
    const pool: Partial<Backend> = {
      fenceTargets: async (ids) => ids.map(() => (this.idle ? { kind: 'idle' } : target)),
      assertCutWithin: async () => undefined,
      getSnapshot: async () => undefined,
      getGroup: async (id) => [...this.committed.values()].find(({ group }) => group?.id === id),
      sealedCuts: async () => [...this.sealed].flatMap(([token, { group }]) => (group ? [{ token, group }] : [])),
      isCommitted: async (token) => this.committed.has(token),
      prepareCut: async (plan) => {
        await this.#at('prepareCut');
        this.#plans.set(plan.token, plan);
      },
      cutMember: () => this.#at('cutMember'),
      sealCut: async (token) => {
        await this.#at('sealCut');
        const plan = this.#plans.get(token);
        if (!plan) throw new DriverError('aborted', `round ${token} is not prepared here`);
        this.sealed.set(token, plan);
      },
      commitCut: async (token) => {
        await this.#at('commitCut');
        const present = this.committed.get(token);
        if (present) return present;
        const plan = this.sealed.get(token);
        if (!plan) throw new DriverError('aborted', `round ${token} was not cut, or was aborted`);
        const record = { token, node: NODE, ...(plan.group && { group: plan.group }), snapshots: [], evidence: [] };
        this.sealed.delete(token);
        this.committed.set(token, record);
        if (this.failsCommitted) throw this.failsCommitted;
        return record;
      },
      abortCut: async (token) => {
        if (this.committed.has(token)) throw new DriverError('failed-precondition', `round ${token} is committed`);
        await this.#at('abortCut');
        this.#plans.delete(token);
        this.sealed.delete(token);
      },
    };
    return pool as Backend;
  }
}
