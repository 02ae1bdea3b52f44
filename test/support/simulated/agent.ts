/** The agent of a node whose pool is computed. What it is asked to make it answers, and forgets. */
import type { SnapshotFilter } from '../../../src/core/backend.ts';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { DriverError, notFound } from '../../../src/core/errors.ts';
import type { NodeName } from '../../../src/core/ids.ts';
import type { NodeAgent } from '../../../src/core/node-agent.ts';
import type { PageRequest } from '../../../src/core/paging.ts';
import type { Decision, RoundPlan, RoundToken } from '../../../src/core/round.ts';
import type { CutRecord } from '../../../src/core/snapshot.ts';
import type { NewVolume, Volume } from '../../../src/core/volume.ts';
import { type PoolShape, SimulatedPool, VOLUME_BYTES } from './pool.ts';

const ROOM = 1024n * GiB;

type State = 'prepared' | 'frozen' | 'cut';

export class SimulatedAgent implements NodeAgent {
  readonly node: NodeName;
  readonly #pool: SimulatedPool;
  readonly #rounds = new Map<RoundToken, { readonly plan: RoundPlan; readonly state: State }>();

  constructor(node: NodeName, shape: PoolShape) {
    this.node = node;
    this.#pool = new SimulatedPool(node, shape);
  }

  async limits() {
    return { sizeGranularity: MiB, minVolumeBytes: 4n * MiB, maxVolumeBytes: ROOM };
  }

  async capacity() {
    return { totalBytes: ROOM, freeBytes: ROOM, promisedBytes: 0n, availableBytes: ROOM };
  }

  async createVolume(volume: NewVolume): Promise<Volume> {
    return { ...volume, node: this.node, content: { kind: 'blank' }, createdAt: Date.now() };
  }

  async claimVolume(id: string) {
    return this.#pool.volume(id);
  }

  async confirmClaim(): Promise<void> {}

  async getVolume(id: string) {
    return this.#pool.volume(id);
  }

  async listVolumes(page: PageRequest) {
    return this.#pool.volumes(page);
  }

  async listUnhealthy() {
    return { items: [] };
  }

  async deleteVolume(): Promise<void> {}

  async expandVolume(id: string, capacityBytes: bigint): Promise<Volume> {
    const volume = this.#pool.volume(id);
    if (!volume) throw notFound('volume', id);
    return { ...volume, capacityBytes };
  }

  async getSnapshot(id: string) {
    return this.#pool.snapshot(id);
  }

  async listSnapshots({ sourceVolumeId }: SnapshotFilter, page: PageRequest) {
    return this.#pool.snapshots(page, sourceVolumeId);
  }

  async getGroup(): Promise<undefined> {}

  async deleteSnapshot(): Promise<void> {}

  async deleteGroup(): Promise<void> {}

  async prepare(plan: RoundPlan) {
    this.#rounds.set(plan.token, { plan, state: 'prepared' });
    return { quiescence: plan.members.map(() => 'frozen' as const) };
  }

  async wait(): Promise<void> {}

  async freeze(token: RoundToken) {
    return { leaseLeftMs: this.#step(token, 'prepared', 'frozen').leaseMs };
  }

  async cut(token: RoundToken) {
    return { evidence: evidenceOf(this.#step(token, 'frozen', 'cut')) };
  }

  async commit(token: RoundToken): Promise<CutRecord> {
    const plan = this.#step(token, 'cut');
    const { name, group, members } = plan;
    const snapshots = members.map(({ volumeId, snapshotId }) => ({
      id: snapshotId,
      name,
      node: this.node,
      sourceVolumeId: volumeId,
      sizeBytes: VOLUME_BYTES,
      heldBytes: 0n,
      content: { kind: 'blank' } as const,
      createdAt: Date.now(),
      ...(group && { groupId: group.id }),
    }));
    return { token, node: this.node, ...(group && { group }), snapshots, evidence: evidenceOf(plan) };
  }

  async abort(token: RoundToken): Promise<void> {
    this.#rounds.delete(token);
  }

  async settle(): Promise<Decision> {
    return 'aborted';
  }

  async sealedParts() {
    return [];
  }

  /** @param to the round is over when absent */
  #step(token: RoundToken, from: State, to?: State): RoundPlan {
    const round = this.#rounds.get(token);
    if (round?.state !== from) throw new DriverError('aborted', `round ${token} is not ${from} on ${this.node}`);
    if (to) this.#rounds.set(token, { plan: round.plan, state: to });
    else this.#rounds.delete(token);
    return round.plan;
  }
}

function evidenceOf({ members, leaseMs }: RoundPlan) {
  return members.map(({ volumeId }) => ({
    volumeId,
    quiescence: 'frozen' as const,
    frozenAtMs: 1,
    cutAtMs: 2,
    thawedAtMs: 3,
    leaseLeftMs: leaseMs,
  }));
}
