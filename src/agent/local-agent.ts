/** The NodeAgent port in this process: the backend, and the rounds on it. */
import type { Backend, SnapshotFilter, VolumeLimits } from '../core/backend.ts';
import type { Bytes } from '../core/bytes.ts';
import type { PoolCapacity } from '../core/capacity.ts';
import { DriverError } from '../core/errors.ts';
import type { HealthFilter, VolumeHealth } from '../core/health.ts';
import { type GroupId, lockKeysOf, type NodeName, type SnapshotId, type VolumeId } from '../core/ids.ts';
import type { KeyedLocks, LockClaim } from '../core/locks.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import type { CutNode, Decision, FrozenNode, PreparedNode, RoundPlan, RoundToken, SealedPart } from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import type { Claim, NewVolume, Volume } from '../core/volume.ts';
import { waitFor } from '../core/wait.ts';
import type { NodeRounds } from '../fence/node-round.ts';
import type { QuietCopies } from '../fence/quiet-copy.ts';
import { type HealthOf, pageOfUnhealthy } from './unhealthy.ts';
import { VolumeClaims } from './volume-claims.ts';

export interface LocalAgentParts {
  readonly node: NodeName;
  readonly backend: Backend;
  readonly rounds: NodeRounds;
  /** The node's, shared with its other services: see `NodeAgent`. */
  readonly locks: KeyedLocks;
  readonly copies: QuietCopies;
  readonly healthOf: HealthOf;
}

export class LocalAgent implements NodeAgent {
  readonly node: NodeName;
  readonly #backend: Backend;
  readonly #rounds: NodeRounds;
  readonly #locks: KeyedLocks;
  readonly #copies: QuietCopies;
  readonly #healthOf: HealthOf;
  readonly #claims = new VolumeClaims();

  constructor({ node, backend, rounds, copies, locks, healthOf }: LocalAgentParts) {
    this.node = node;
    this.#backend = backend;
    this.#rounds = rounds;
    this.#locks = locks;
    this.#copies = copies;
    this.#healthOf = healthOf;
  }

  async limits(): Promise<VolumeLimits> {
    const { sizeGranularity, minVolumeBytes, maxVolumeBytes } = this.#backend;
    return { sizeGranularity, minVolumeBytes, maxVolumeBytes };
  }

  capacity(signal: AbortSignal): Promise<PoolCapacity> {
    return this.#backend.capacity(signal);
  }

  async createVolume({ claim, ...spec }: NewVolume, signal: AbortSignal): Promise<Volume> {
    const { id, source } = spec;
    const create = async () => {
      if (claim !== undefined) this.#claims.assertLast(id, claim);
      const volume = await this.#backend.createVolume(spec, signal);
      this.#claims.forget(id);
      return volume;
    };
    if (source?.kind !== 'volume') {
      // A snapshot just has to stay: many volumes may be made of it at a time.
      const locks = { exclusive: lockKeysOf(id), shared: lockKeysOf(source?.id ?? '') };
      return await this.#holding(`creating volume ${id}`, locks, create);
    }
    return await this.#holding(`cloning volume ${source.id}`, { exclusive: lockKeysOf(id, source.id) }, async () => {
      // An earlier call made it: nothing has to be quiet for that, and it is not this call's to undo.
      if (await this.#backend.getVolume(id)) return await create();
      // A clone of a volume in use is taken from a clean filesystem.
      const undo = () => this.#backend.deleteVolume(id);
      return await this.#copies.whileQuiet(source.id, create, undo, signal);
    });
  }

  async claimVolume(id: VolumeId, claim: Claim): Promise<Volume | undefined> {
    const existing = await this.#backend.getVolume(id);
    if (existing) return existing;
    // Not while it is being made: whether it will be here could not be told.
    return await this.#holding(`claiming ${id}`, { exclusive: [], shared: lockKeysOf(id) }, async () => {
      this.#claims.claim(id, claim);
      return await this.#backend.getVolume(id);
    });
  }

  async confirmClaim(id: VolumeId, claim: Claim): Promise<void> {
    this.#claims.assertLast(id, claim);
  }

  getVolume(id: VolumeId): Promise<Volume | undefined> {
    return this.#backend.getVolume(id);
  }

  listVolumes(page: PageRequest): Promise<Page<Volume>> {
    return this.#backend.listVolumes(page);
  }

  async listUnhealthy(filter: HealthFilter, page: PageRequest, signal: AbortSignal): Promise<Page<VolumeHealth>> {
    signal.throwIfAborted();
    const looking = pageOfUnhealthy(this.#backend, this.#healthOf, filter, page, signal);
    // A look at a broken disk may never end; its caller's wait does.
    return await waitFor(looking, { what: 'looking at volumes', signal });
  }

  async deleteVolume(id: VolumeId): Promise<void> {
    await this.#changing('deleting', id, () => this.#backend.deleteVolume(id));
  }

  async expandVolume(id: VolumeId, capacityBytes: Bytes, signal: AbortSignal): Promise<Volume> {
    return await this.#changing('expanding', id, () => this.#backend.expandVolume(id, capacityBytes, signal));
  }

  getSnapshot(id: SnapshotId): Promise<Snapshot | undefined> {
    return this.#backend.getSnapshot(id);
  }

  listSnapshots(filter: SnapshotFilter, page: PageRequest): Promise<Page<Snapshot>> {
    return this.#backend.listSnapshots(filter, page);
  }

  getGroup(id: GroupId): Promise<CutRecord | undefined> {
    return this.#backend.getGroup(id);
  }

  async deleteSnapshot(id: SnapshotId): Promise<void> {
    await this.#changing('deleting', id, () => this.#backend.deleteSnapshot(id));
  }

  async deleteGroup(id: GroupId): Promise<void> {
    const members = (await this.#backend.getGroup(id))?.snapshots ?? [];
    const claim = { exclusive: lockKeysOf(id, ...members.map((snapshot) => snapshot.id)) };
    await this.#holding(`deleting ${id}`, claim, () => this.#backend.deleteGroup(id));
  }

  prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode> {
    return this.#rounds.prepare(plan, signal);
  }

  async wait(token: RoundToken): Promise<void> {
    this.#rounds.wait(token);
  }

  freeze(token: RoundToken): Promise<FrozenNode> {
    return this.#rounds.freeze(token);
  }

  cut(token: RoundToken): Promise<CutNode> {
    return this.#rounds.cut(token);
  }

  commit(token: RoundToken): Promise<CutRecord> {
    return this.#rounds.commit(token);
  }

  abort(token: RoundToken): Promise<void> {
    return this.#rounds.abort(token);
  }

  settle(token: RoundToken): Promise<Decision> {
    return this.#rounds.settle(token);
  }

  sealedParts(): Promise<readonly SealedPart[]> {
    return this.#rounds.sealedParts();
  }

  async #changing<T>(how: string, id: VolumeId, work: () => Promise<T>): Promise<T> {
    return await this.#holding(`${how} ${id}`, { exclusive: lockKeysOf(id) }, work);
  }

  async #holding<T>(owner: string, claim: LockClaim, work: () => Promise<T>): Promise<T> {
    using _held = this.#locks.acquire(owner, claim);
    return await work();
  }
}

/** The directory of a process that is its own only node. */
export class SingleNodeDirectory implements NodeDirectory {
  readonly #agent: NodeAgent;

  constructor(agent: NodeAgent) {
    this.#agent = agent;
  }

  agent(node: NodeName): NodeAgent {
    if (node === this.#agent.node) return this.#agent;
    throw new DriverError(
      'unavailable',
      `node ${JSON.stringify(node)} is not served here; this is ${this.#agent.node}`,
    );
  }

  has(node: NodeName): boolean {
    return node === this.#agent.node;
  }

  nodes(): readonly NodeName[] {
    return [this.#agent.node];
  }
}
