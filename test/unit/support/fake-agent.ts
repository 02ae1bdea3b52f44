import { VolumeClaims } from '../../../src/agent/volume-claims.ts';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { DriverError, notFound } from '../../../src/core/errors.ts';
import type { HealthFilter, VolumeCondition } from '../../../src/core/health.ts';
import { lockKeysOf, type NodeName } from '../../../src/core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../../../src/core/node-agent.ts';
import type { Page, PageRequest } from '../../../src/core/paging.ts';
import type { Decision, RoundPlan, RoundToken } from '../../../src/core/round.ts';
import type { CutRecord, Snapshot } from '../../../src/core/snapshot.ts';
import { compareIds } from '../../../src/core/sorted-index.ts';
import type { NewVolume, Volume } from '../../../src/core/volume.ts';

/** A node whose pool is in memory. */
export class FakeAgent implements NodeAgent {
  readonly node: NodeName;
  readonly volumes = new Map<string, Volume>();
  /** What is wrong with volumes, by their ids. */
  readonly conditions = new Map<string, readonly VolumeCondition[]>();
  readonly records = new Map<RoundToken, CutRecord>();
  readonly sealed = new Map<RoundToken, CutRecord>();
  /** Rounds whose coordinator may still come. */
  readonly led = new Set<RoundToken>();
  readonly calls: string[] = [];
  freeBytes = 100n * GiB;
  /** Items that lists looked at: paging must not cost more than its page. */
  itemsRead = 0;
  #now = 1_700_000_000_000;
  readonly #claims = new VolumeClaims();

  constructor(node: NodeName) {
    this.node = node;
  }

  async limits() {
    return { sizeGranularity: MiB, minVolumeBytes: 4n * MiB, maxVolumeBytes: 64n * 1024n * GiB };
  }

  async capacity() {
    return { totalBytes: 100n * GiB, freeBytes: this.freeBytes, promisedBytes: 0n, availableBytes: this.freeBytes };
  }

  async createVolume({ claim, ...spec }: NewVolume): Promise<Volume> {
    if (claim !== undefined) this.#claims.assertLast(spec.id, claim);
    this.calls.push(`create ${spec.name}`);
    if (spec.capacityBytes % MiB !== 0n) throw new Error('not a multiple of the granularity');
    if (spec.capacityBytes > this.freeBytes) throw new DriverError('resource-exhausted', 'the pool is full');
    const source = spec.source?.kind === 'snapshot' ? this.#snapshots().get(spec.source.id) : undefined;
    const content = source?.content ?? { kind: 'blank' as const };
    const volume: Volume = { ...spec, node: this.node, content, createdAt: this.#now++ };
    this.volumes.set(spec.id, volume);
    return volume;
  }

  async claimVolume(id: string, claim: string) {
    this.#claims.claim(id, claim);
    return this.volumes.get(id);
  }

  async confirmClaim(id: string, claim: string): Promise<void> {
    this.#claims.assertLast(id, claim);
  }

  async getVolume(id: string) {
    return this.volumes.get(id);
  }

  async listVolumes(page: PageRequest) {
    return this.#page(this.volumes, page);
  }

  async listUnhealthy({ volumeId }: HealthFilter, page: PageRequest) {
    const sick = [...this.conditions].filter(([id]) => volumeId === undefined || volumeId === id);
    return this.#page(new Map(sick.map(([id, conditions]) => [id, { id, conditions }])), page);
  }

  async deleteVolume(id: string): Promise<void> {
    this.calls.push(`delete ${id}`);
    this.volumes.delete(id);
  }

  async expandVolume(id: string, capacityBytes: bigint): Promise<Volume> {
    const volume = this.volumes.get(id);
    if (!volume) throw notFound('volume', id);
    const grown = { ...volume, capacityBytes };
    this.volumes.set(id, grown);
    return grown;
  }

  async getSnapshot(id: string) {
    return this.#snapshots().get(id);
  }

  async listSnapshots(filter: { readonly sourceVolumeId?: string }, page: PageRequest) {
    const all = [...this.#snapshots()].filter(
      ([, { sourceVolumeId }]) => filter.sourceVolumeId === undefined || filter.sourceVolumeId === sourceVolumeId,
    );
    return this.#page(new Map(all), page);
  }

  async getGroup(id: string) {
    // By name, as pools do: of another home, too.
    return [...this.records.values()].find(({ group }) => group && lockKeysOf(group.id)[0] === lockKeysOf(id)[0]);
  }

  async deleteSnapshot(id: string): Promise<void> {
    this.calls.push(`delete ${id}`);
    for (const [token, { group, snapshots }] of this.records) {
      if (!group && snapshots.some((snapshot) => snapshot.id === id)) this.records.delete(token);
    }
  }

  async deleteGroup(id: string): Promise<void> {
    this.calls.push(`delete ${id}`);
    for (const [token, { group }] of this.records) if (group?.id === id) this.records.delete(token);
  }

  async prepare(plan: RoundPlan) {
    const snapshots = plan.members.map(({ volumeId, snapshotId }): Snapshot => {
      const volume = this.volumes.get(volumeId);
      if (!volume) throw notFound('volume', volumeId);
      return {
        id: snapshotId,
        name: plan.name,
        node: this.node,
        sourceVolumeId: volumeId,
        sizeBytes: volume.capacityBytes,
        heldBytes: 0n,
        content: volume.content,
        createdAt: this.#now++,
        ...(plan.group && { groupId: plan.group.id }),
      };
    });
    const record = {
      token: plan.token,
      node: this.node,
      snapshots,
      evidence: [],
      ...(plan.group && { group: plan.group }),
    };
    this.sealed.set(plan.token, record);
    return { quiescence: plan.members.map(() => 'idle' as const) };
  }

  async wait(): Promise<void> {}

  async freeze() {
    return { leaseLeftMs: 1000 };
  }

  async cut() {
    return { evidence: [] };
  }

  async commit(token: RoundToken): Promise<CutRecord> {
    this.calls.push(`commit ${token}`);
    const record = this.sealed.get(token) ?? this.records.get(token);
    if (!record) throw new DriverError('aborted', `round ${token} was not cut, or was aborted`);
    this.sealed.delete(token);
    this.records.set(token, record);
    return record;
  }

  async abort(token: RoundToken): Promise<void> {
    this.sealed.delete(token);
  }

  async settle(token: RoundToken): Promise<Decision> {
    if (this.records.has(token)) return 'committed';
    if (this.led.has(token)) return 'pending';
    this.sealed.delete(token);
    return 'aborted';
  }

  async sealedParts() {
    return [...this.sealed.values()].flatMap(({ token, group }) => (group ? [{ token, group }] : []));
  }

  #snapshots(): ReadonlyMap<string, Snapshot> {
    return new Map([...this.records.values()].flatMap(({ snapshots }) => snapshots).map((each) => [each.id, each]));
  }

  #page<T extends { readonly id: string }>(all: ReadonlyMap<string, T>, { after = '', limit }: PageRequest): Page<T> {
    const sorted = [...all.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).filter(({ id }) => id > after);
    const items = sorted.slice(0, limit ?? sorted.length);
    this.itemsRead += items.length;
    const last = items.at(-1)?.id;
    return items.length < sorted.length && last !== undefined ? { items, next: last } : { items };
  }
}

export class FakeDirectory implements NodeDirectory {
  readonly agents: ReadonlyMap<NodeName, FakeAgent>;
  readonly away = new Set<NodeName>();
  /** No longer on the list. */
  readonly gone = new Set<NodeName>();

  constructor(...nodes: readonly NodeName[]) {
    this.agents = new Map(nodes.map((node) => [node, new FakeAgent(node)]));
  }

  agent(node: NodeName): FakeAgent {
    const agent = this.has(node) && !this.away.has(node) ? this.agents.get(node) : undefined;
    if (!agent) throw new DriverError('unavailable', `node ${node} is away`);
    return agent;
  }

  has(node: NodeName): boolean {
    return this.agents.has(node) && !this.gone.has(node);
  }

  nodes(): readonly NodeName[] {
    return [...this.agents.keys()].filter((node) => !this.gone.has(node)).sort(compareIds);
  }
}

export const noSignal: AbortSignal = new AbortController().signal;
