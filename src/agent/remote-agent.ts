/** The NodeAgent port over the network. */
import type { SnapshotFilter, VolumeLimits } from '../core/backend.ts';
import type { Bytes } from '../core/bytes.ts';
import type { PoolCapacity } from '../core/capacity.ts';
import { DriverError, hasCode, messageOf } from '../core/errors.ts';
import type { HealthFilter, VolumeHealth } from '../core/health.ts';
import type { GroupId, NodeName, SnapshotId, VolumeId } from '../core/ids.ts';
import type { NodeAgent } from '../core/node-agent.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import {
  type CutNode,
  type Decision,
  type FrozenNode,
  MAX_LEASE_MS,
  type PreparedNode,
  type RoundPlan,
  type RoundToken,
  type SealedPart,
} from '../core/round.ts';
import type { CutRecord, Snapshot } from '../core/snapshot.ts';
import type { Claim, NewVolume, Volume } from '../core/volume.ts';
import { AgentClient, type AgentPlace, type LinkParts } from './agent-client.ts';
import { readHealth } from './wire/health.ts';
import { readCapacity } from './wire/pool.ts';
import { readDecision, readEvidence, readPart, readQuiescence, writePlan } from './wire/round.ts';
import { readRecord, readSnapshot } from './wire/snapshot.ts';
import { readVolume, writeNewVolume } from './wire/volume.ts';

/** Longest that calls may take, milliseconds, whatever their callers are ready to wait. */
const LOOK_MS = 10_000;
/** Timeout of calls that answer with as many items as there are. */
const LIST_MS = 300_000;
/** A copy may have to be made, or an image deleted. */
const CHANGE_MS = 60_000;
const PREPARE_MS = 40_000;
const DECIDE_MS = 10_000;
/** Beyond the lease: for the way there and back; and for the cut to be sealed, thawed long since. */
const FREEZE_MARGIN_MS = 2000;
const CUT_MARGIN_MS = 30_000;

export class RemoteAgent implements NodeAgent, Disposable {
  readonly node: NodeName;
  readonly #client: AgentClient;
  /** Leases of rounds that were prepared, and neither committed nor aborted. */
  readonly #leases = new Map<RoundToken, number>();

  /** @throws DriverError invalid-argument when the address is none */
  constructor(place: AgentPlace, link: LinkParts) {
    this.node = place.node;
    this.#client = new AgentClient(place, link);
  }

  limits(signal: AbortSignal): Promise<VolumeLimits> {
    return this.#client.limits(signal);
  }

  async capacity(signal: AbortSignal): Promise<PoolCapacity> {
    return readCapacity(await this.#client.call('Capacity', {}, LOOK_MS, signal));
  }

  async createVolume(volume: NewVolume, signal: AbortSignal): Promise<Volume> {
    const reply = await this.#client.call('CreateVolume', writeNewVolume(volume), CHANGE_MS, signal);
    return this.#understood(() => readVolume(this.node, 'volume', reply));
  }

  async claimVolume(volumeId: VolumeId, claim: Claim, signal: AbortSignal): Promise<Volume | undefined> {
    try {
      const { volume } = await this.#client.call('ClaimVolume', { volumeId, claim }, LOOK_MS, signal);
      return volume ? this.#understood(() => readVolume(this.node, 'volume', volume)) : undefined;
    } catch (error) {
      if (!hasCode(error, 'unimplemented')) throw error;
      // An agent of 1.0: until it is replaced, what it always was, a look and no claim.
      return await this.getVolume(volumeId, signal);
    }
  }

  async confirmClaim(volumeId: VolumeId, claim: Claim, signal: AbortSignal): Promise<void> {
    await this.#client.call('ConfirmClaim', { volumeId, claim }, LOOK_MS, signal).catch((error: unknown) => {
      // As above.
      if (!hasCode(error, 'unimplemented')) throw error;
    });
  }

  async getVolume(volumeId: VolumeId, signal: AbortSignal): Promise<Volume | undefined> {
    const { volume } = await this.#client.call('GetVolume', { volumeId }, LOOK_MS, signal);
    return volume ? this.#understood(() => readVolume(this.node, 'volume', volume)) : undefined;
  }

  async listVolumes(page: PageRequest, signal: AbortSignal): Promise<Page<Volume>> {
    const list = new PageOf<Volume>();
    await this.#client.read('ListVolumes', { page }, LIST_MS, signal, ({ volumes, next }) => {
      list.add(
        volumes.map((each) => this.#understood(() => readVolume(this.node, 'volumes', each))),
        next,
      );
    });
    return list.page;
  }

  async listUnhealthy(filter: HealthFilter, page: PageRequest, signal: AbortSignal): Promise<Page<VolumeHealth>> {
    const list = new PageOf<VolumeHealth>();
    await this.#client.read('ListUnhealthy', { page, ...filter }, LIST_MS, signal, ({ volumes, next }) => {
      list.add(
        volumes.map((each) => this.#understood(() => readHealth(this.node, 'volumes', each))),
        next,
      );
    });
    return list.page;
  }

  async deleteVolume(volumeId: VolumeId, signal: AbortSignal): Promise<void> {
    await this.#client.call('DeleteVolume', { volumeId }, CHANGE_MS, signal);
  }

  async expandVolume(volumeId: VolumeId, capacityBytes: Bytes, signal: AbortSignal): Promise<Volume> {
    const request = { volumeId, capacityBytes: String(capacityBytes) };
    const reply = await this.#client.call('ExpandVolume', request, CHANGE_MS, signal);
    return this.#understood(() => readVolume(this.node, 'volume', reply));
  }

  async getSnapshot(snapshotId: SnapshotId, signal: AbortSignal): Promise<Snapshot | undefined> {
    const { snapshot } = await this.#client.call('GetSnapshot', { snapshotId }, LOOK_MS, signal);
    return snapshot ? this.#understood(() => readSnapshot(this.node, 'snapshot', snapshot)) : undefined;
  }

  async listSnapshots(filter: SnapshotFilter, page: PageRequest, signal: AbortSignal): Promise<Page<Snapshot>> {
    const list = new PageOf<Snapshot>();
    await this.#client.read('ListSnapshots', { page, ...filter }, LIST_MS, signal, ({ snapshots, next }) => {
      list.add(
        snapshots.map((each) => this.#understood(() => readSnapshot(this.node, 'snapshots', each))),
        next,
      );
    });
    return list.page;
  }

  async getGroup(groupId: GroupId, signal: AbortSignal): Promise<CutRecord | undefined> {
    const { record } = await this.#client.call('GetGroup', { groupId }, LOOK_MS, signal);
    return record ? this.#understood(() => readRecord(this.node, 'record', record)) : undefined;
  }

  async deleteSnapshot(snapshotId: SnapshotId, signal: AbortSignal): Promise<void> {
    await this.#client.call('DeleteSnapshot', { snapshotId }, CHANGE_MS, signal);
  }

  async deleteGroup(groupId: GroupId, signal: AbortSignal): Promise<void> {
    await this.#client.call('DeleteGroup', { groupId }, CHANGE_MS, signal);
  }

  async prepare(plan: RoundPlan, signal: AbortSignal): Promise<PreparedNode> {
    this.#leases.set(plan.token, plan.leaseMs);
    const { quiescence } = await this.#client.call('Prepare', writePlan(plan), PREPARE_MS, signal);
    return this.#understood(() => ({ quiescence: quiescence.map((each) => readQuiescence('quiescence', each)) }));
  }

  async wait(token: RoundToken, signal: AbortSignal): Promise<void> {
    await this.#client.call('Wait', { token }, LOOK_MS, signal);
  }

  async freeze(token: RoundToken, signal: AbortSignal): Promise<FrozenNode> {
    const { leaseLeftMs } = await this.#client.call('Freeze', { token }, this.#lease(token) + FREEZE_MARGIN_MS, signal);
    return { leaseLeftMs };
  }

  async cut(token: RoundToken, signal: AbortSignal): Promise<CutNode> {
    const limitMs = this.#lease(token) + CUT_MARGIN_MS;
    this.#leases.delete(token);
    const { evidence } = await this.#client.call('Cut', { token }, limitMs, signal);
    return this.#understood(() => ({ evidence: evidence.map((each) => readEvidence(this.node, 'evidence', each)) }));
  }

  async commit(token: RoundToken, signal: AbortSignal): Promise<CutRecord> {
    this.#leases.delete(token);
    const reply = await this.#client.call('Commit', { token }, DECIDE_MS, signal);
    return this.#understood(() => readRecord(this.node, 'record', reply));
  }

  async abort(token: RoundToken, signal: AbortSignal): Promise<void> {
    this.#leases.delete(token);
    await this.#client.call('Abort', { token }, DECIDE_MS, signal);
  }

  async settle(token: RoundToken, signal: AbortSignal): Promise<Decision> {
    const { decision } = await this.#client.call('Settle', { token }, DECIDE_MS, signal);
    return this.#understood(() => readDecision('decision', decision));
  }

  async sealedParts(signal: AbortSignal): Promise<readonly SealedPart[]> {
    const all: SealedPart[] = [];
    await this.#client.read('SealedParts', {}, LOOK_MS, signal, ({ parts }) => {
      for (const part of parts) all.push(this.#understood(() => readPart('parts', part)));
    });
    return all;
  }

  /** Ends the connection with the last call under way. */
  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  #lease(token: RoundToken): number {
    return this.#leases.get(token) ?? MAX_LEASE_MS;
  }

  /** An answer that makes no sense is a fault of the agent, or of whoever has its certificate: not of our caller. */
  #understood<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw new DriverError('internal', `the agent of node ${this.node} answers nonsense: ${messageOf(cause)}`, {
        cause,
      });
    }
  }
}

/** A page that comes in pieces. */
class PageOf<T> {
  readonly #items: T[] = [];
  #next: string | undefined;

  get page(): Page<T> {
    return { items: this.#items, ...(this.#next !== undefined && { next: this.#next }) };
  }

  add(items: readonly T[], next: string | undefined): void {
    for (const item of items) this.#items.push(item);
    this.#next = next;
  }
}
