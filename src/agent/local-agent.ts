/** The NodeAgent port in this process: the backend, and the rounds on it. */
import type { Backend, SnapshotFilter } from '../core/backend.ts';
import type { Bytes } from '../core/bytes.ts';
import type { PoolCapacity } from '../core/capacity.ts';
import { DriverError } from '../core/errors.ts';
import type { GroupId, NodeName, SnapshotId, VolumeId } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import type { CutNode, FrozenNode, PreparedNode, RoundPlan, RoundToken } from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import type { Volume, VolumeSpec } from '../core/volume.ts';
import type { NodeRounds } from '../fence/node-round.ts';

export class LocalAgent implements NodeAgent {
  readonly node: NodeName;
  readonly #backend: Backend;
  readonly #rounds: NodeRounds;

  readonly #leaseMs: number;

  constructor(node: NodeName, backend: Backend, rounds: NodeRounds, leaseMs: number) {
    this.node = node;
    this.#leaseMs = leaseMs;
    this.#backend = backend;
    this.#rounds = rounds;
  }

  get limits(): NodeAgent['limits'] {
    return this.#backend;
  }

  capacity(signal: AbortSignal): Promise<PoolCapacity> {
    return this.#backend.capacity(signal);
  }

  createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<Volume> {
    const create = () => this.#backend.createVolume(spec, signal);
    // A clone of a volume in use is taken from a clean filesystem.
    return spec.source?.kind === 'volume'
      ? this.#rounds.whileQuiet(
          spec.source.id,
          this.#leaseMs,
          create,
          () => this.#backend.deleteVolume(spec.id),
          signal,
        )
      : create();
  }

  getVolume(id: VolumeId): Promise<Volume | undefined> {
    return this.#backend.getVolume(id);
  }

  listVolumes(page: PageRequest): Promise<Page<Volume>> {
    return this.#backend.listVolumes(page);
  }

  deleteVolume(id: VolumeId): Promise<void> {
    return this.#backend.deleteVolume(id);
  }

  expandVolume(id: VolumeId, capacityBytes: Bytes, signal: AbortSignal): Promise<Volume> {
    return this.#backend.expandVolume(id, capacityBytes, signal);
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

  deleteSnapshot(id: SnapshotId): Promise<void> {
    return this.#backend.deleteSnapshot(id);
  }

  deleteGroup(id: GroupId): Promise<void> {
    return this.#backend.deleteGroup(id);
  }

  prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode> {
    return this.#rounds.prepare(plan, signal);
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

  nodes(): readonly NodeName[] {
    return [this.#agent.node];
  }
}
