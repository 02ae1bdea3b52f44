/**
 * Snapshots (docs/adr/0010-lvm-thin.md). A cut is one logical volume per member, tagged with its round; the tags of the
 * first, the leader, say how far it came:
 *
 *   prepare: placeholders, the leader pending, empty in the kernel ─▶ cut: made snapshots in the kernel
 *     ─▶ seal: the leader has the record and is tagged sealed ─▶ commit: that tag gone, one metadata write
 *   delete:  the leader pending again ─▶ all removed
 *
 * Snapshots exist when the leader has a record and is neither pending nor sealed: all of a round at once.
 */
import type { Clock } from '../../core/clock.ts';
import { DriverError, notFound } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { NodeName, VolumeId } from '../../core/ids.ts';
import type { HeldAlone } from '../../core/read-write-lock.ts';
import type { MemberEvidence, RoundPlan, RoundToken } from '../../core/round.ts';
import type { CutRecord, Snapshot } from '../../core/snapshot.ts';
import { createThinSnapshot, deleteThin } from '../../host/thin-pool.ts';
import { encodeCut } from '../records.ts';
import type { Devices } from './devices.ts';
import { cutTag, PENDING_TAG, recordTags, SEALED_TAG, snapshotName, volumeName } from './layout.ts';
import type { Pool } from './pool.ts';
import { cutsIn, type Store } from './store.ts';

/** Inactive, and not activated with the rest of the group; without an origin for LVM to look after. */
const PLACEHOLDER = ['-y', '-an', '-ky', '-Wn'] as const;

interface ThinPair {
  /** Ids in the pool: of the snapshot to be, and of what it is made of. */
  readonly snapshot: number;
  readonly origin: number;
}

/** A cut between prepare and seal. */
interface OpenCut {
  readonly plan: RoundPlan;
  readonly target: string;
  readonly pairs: ReadonlyMap<VolumeId, ThinPair>;
  readonly made: Set<VolumeId>;
  /** No command of LVM runs until it is given back. */
  readonly hold: Disposable;
}

export class Cuts {
  readonly #pool: Pool;
  readonly #store: Store;
  readonly #devices: Devices;
  readonly #clock: Clock;
  readonly #node: NodeName;
  readonly #open = new Map<RoundToken, OpenCut>();
  readonly #preparing = new Set<RoundToken>();

  constructor(pool: Pool, store: Store, devices: Devices, clock: Clock, node: NodeName) {
    this.#pool = pool;
    this.#store = store;
    this.#devices = devices;
    this.#clock = clock;
    this.#node = node;
  }

  async assertWithin(): Promise<void> {
    // A message to the pool for each, whatever they hold.
  }

  async prepare(plan: RoundPlan, signal: AbortSignal): Promise<void> {
    const { token } = plan;
    if (this.#open.has(token) || this.#preparing.has(token)) {
      throw new DriverError('aborted', `round ${token} is prepared already`);
    }
    this.#preparing.add(token);
    try {
      // Once for all of it: with anything made, the wait for another round's end could not be given up.
      using alone = await this.#pool.begin(signal);
      await this.#makeReady(plan, alone);
    } finally {
      this.#preparing.delete(token);
    }
  }

  async #makeReady(plan: RoundPlan, alone: HeldAlone): Promise<void> {
    const { token, members } = plan;
    try {
      for (const member of members) await this.#placeholder(plan, member);
      const pairs = await this.#pairs(plan);
      const target = await this.#pool.target();
      for (const { snapshot } of pairs.values()) await deleteThin(this.#pool.mapper, target, snapshot);
      await failpoint('snapshot.prepared');
      this.#open.set(token, { plan, target, pairs, made: new Set(), hold: alone.share() });
    } catch (error) {
      const left = await this.#membersOf(token);
      if (left.length > 0) await this.#pool.changeHeld(['lvremove', '-y', ...left]);
      throw error;
    }
  }

  async cutMember(token: RoundToken, volumeId: VolumeId): Promise<void> {
    const { target, pairs, made } = this.#cut(token);
    const pair = pairs.get(volumeId);
    if (!pair) throw new DriverError('internal', `volume ${volumeId} is not in round ${token}`);
    const { lvm, mapper } = this.#pool;
    const device = lvm.deviceName(volumeName(volumeId));
    const found = await mapper.find(device);
    // Active, but nothing of ours has stopped it: idle, or a round without a fence. Its own cut must be atomic still.
    const alone = found !== undefined && !found.suspended;
    if (alone) await mapper.suspend(device, { lockFs: true });
    try {
      await createThinSnapshot(mapper, target, pair.snapshot, pair.origin);
    } finally {
      if (alone) await mapper.resume(device);
    }
    made.add(volumeId);
    await failpoint('snapshot.cut');
  }

  async seal(token: RoundToken, evidence: readonly MemberEvidence[]): Promise<void> {
    const cut = this.#cut(token);
    const { plan, made, hold } = cut;
    const { members, group } = plan;
    const missing = members.find(({ volumeId }) => !made.has(volumeId));
    if (missing) throw new DriverError('aborted', `volume ${missing.volumeId} was not cut in round ${token}`);
    hold[Symbol.dispose]();
    const createdAt = this.#clock.wallMs();
    const snapshots = await Promise.all(members.map((member) => this.#describe(cut, member, createdAt)));
    await failpoint('snapshot.synced');
    const record: CutRecord = { token, node: this.#node, ...(group && { group }), snapshots, evidence };
    const tags = [SEALED_TAG, ...recordTags(encodeCut(record))];
    await this.#tagLeader(record, ['--deltag', PENDING_TAG, ...tags.flatMap((tag) => ['--addtag', tag])]);
    this.#store.putSealed(record);
    await failpoint('snapshot.sealed');
  }

  async commit(token: RoundToken): Promise<CutRecord> {
    const committed = this.#store.cut(token);
    if (committed) return committed;
    const found = cutsIn(await this.#pool.lvm.list()).find((cut) => cut.token === token);
    if (!found?.record) throw new DriverError('aborted', `round ${token} was not cut, or was aborted`);
    await this.#tagLeader(found.record, ['--deltag', SEALED_TAG]);
    this.#store.putCut(found.record);
    this.#open.delete(token);
    await failpoint('snapshot.committed');
    return found.record;
  }

  async abort(token: RoundToken): Promise<void> {
    if (this.#store.cut(token)) {
      throw new DriverError('failed-precondition', `round ${token} is committed and can't be aborted`);
    }
    this.#open.get(token)?.hold[Symbol.dispose]();
    this.#open.delete(token);
    await this.#remove(token);
    // Not before: what is still there holds space, and is to be aborted again.
    this.#store.removeSealed(token);
  }

  /** Deletes a whole cut: a group, or the one snapshot of a CreateSnapshot. Again: what there still is of it. */
  async delete(record: CutRecord): Promise<void> {
    await failpoint('snapshot.delete.start');
    if (this.#store.cut(record.token)) {
      await this.#tagLeader(record, ['--addtag', PENDING_TAG]);
      this.#store.removeCut(record);
    }
    await failpoint('snapshot.delete.unrecorded');
    await this.#remove(record.token);
  }

  async #placeholder({ token, members }: RoundPlan, member: RoundPlan['members'][number]): Promise<void> {
    const { lvm, name } = this.#pool;
    const volume = this.#store.volumes.get(member.volumeId);
    if (!volume) throw notFound('volume', member.volumeId);
    const tags = [cutTag(token), ...(member === members[0] ? [PENDING_TAG] : [])];
    await this.#pool.changeHeld([
      ...['lvcreate', ...PLACEHOLDER, '-V', `${volume.capacityBytes}b`, '--thinpool', lvm.pathOf(name)],
      ...['-n', snapshotName(token, member.snapshotId), ...tags.flatMap((tag) => ['--addtag', tag])],
    ]);
  }

  async #pairs({ token, members }: RoundPlan): Promise<ReadonlyMap<VolumeId, ThinPair>> {
    const ids = new Map((await this.#pool.lvm.list()).map(({ name, thinId }) => [name, thinId]));
    return new Map(
      members.map(({ volumeId, snapshotId }) => {
        const origin = ids.get(volumeName(volumeId));
        const snapshot = ids.get(snapshotName(token, snapshotId));
        if (origin === undefined || snapshot === undefined) {
          throw new DriverError(
            'data-loss',
            `volume ${volumeId} or its snapshot is no thin volume of the pool any more`,
          );
        }
        return [volumeId, { snapshot, origin }];
      }),
    );
  }

  async #describe(
    { plan: { name, group }, pairs }: OpenCut,
    { volumeId, snapshotId }: RoundPlan['members'][number],
    createdAt: number,
  ): Promise<Snapshot> {
    const volume = this.#store.volumes.get(volumeId);
    const pair = pairs.get(volumeId);
    if (!volume || !pair) throw notFound('volume', volumeId);
    return {
      id: snapshotId,
      name,
      node: this.#node,
      sourceVolumeId: volumeId,
      sizeBytes: volume.capacityBytes,
      heldBytes: await this.#devices.mappedBytes(pair.snapshot),
      content: volume.content,
      createdAt,
      ...(group && { groupId: group.id }),
    };
  }

  async #tagLeader({ token, snapshots }: CutRecord, changes: readonly string[]): Promise<void> {
    const leader = snapshotName(token, snapshots[0]?.id ?? '');
    await this.#pool.change(['lvchange', '-y', ...changes, this.#pool.lvm.pathOf(leader)]);
  }

  /** Removes what there is of a cut; of an unknown token: nothing. */
  async #remove(token: RoundToken): Promise<void> {
    const members = await this.#membersOf(token);
    if (members.length > 0) await this.#pool.change(['lvremove', '-y', ...members]);
  }

  async #membersOf(token: RoundToken): Promise<readonly string[]> {
    const { lvm } = this.#pool;
    const found = cutsIn(await lvm.list()).find((cut) => cut.token === token);
    return (found?.members ?? []).map(({ name }) => lvm.pathOf(name));
  }

  #cut(token: RoundToken): OpenCut {
    const cut = this.#open.get(token);
    if (!cut) throw new DriverError('aborted', `round ${token} is not prepared here`);
    return cut;
  }
}
