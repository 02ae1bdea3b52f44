/**
 * Snapshots. A cut is a folder named by its round; what its one record is called says how far it came:
 *
 *   prepare: folder, empty images ─▶ cut: reflinks ─▶ seal: images synced, sealed.json ─▶ commit: renamed committed.json
 *   delete:  committed.json gone (durable) ─▶ folder to the trash
 *
 * Snapshots exist when committed.json does: all of a round at once.
 */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { DriverError, isErrno, notFound } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { NodeName, VolumeId } from '../../core/ids.ts';
import { isDecidedElsewhere, type MemberEvidence, type RoundPlan, type RoundToken } from '../../core/round.ts';
import type { CutRecord, Snapshot } from '../../core/snapshot.ts';
import type { Volume } from '../../core/volume.ts';
import { renameDurably, syncFolders, unlinkDurably, writeFileWhole } from '../../host/durable-file.ts';
import { exists } from '../../host/exists.ts';
import { extentCount, PendingClone } from '../../host/reflink.ts';
import { allocatedBytes } from '../../host/sparse-file.ts';
import { decodeCut, encodeCut } from '../records.ts';
import { CutPrice } from './cut-price.ts';
import { COMMITTED, type Layout, SEALED } from './layout.ts';
import type { Store } from './store.ts';
import type { Trash } from './trash.ts';

/** A cut between prepare and commit or abort. */
interface OpenCut {
  readonly plan: RoundPlan;
  /** Open until the cut is sealed, so that the window has nothing to open. */
  readonly clones: ReadonlyMap<VolumeId, PendingClone>;
  readonly opened: AsyncDisposableStack;
  /** Members whose clone is made. */
  readonly made: Set<VolumeId>;
  /** From the start of the first clone to the end of the last, `Clock.monotonicMs`. */
  readonly time: { startMs: number; endMs: number };
}

export class Cuts {
  readonly #layout: Layout;
  readonly #store: Store;
  readonly #trash: Trash;
  readonly #clock: Clock;
  readonly #node: NodeName;
  readonly #open = new Map<RoundToken, OpenCut>();
  readonly #price = new CutPrice();

  constructor(layout: Layout, store: Store, trash: Trash, clock: Clock, node: NodeName) {
    this.#layout = layout;
    this.#store = store;
    this.#trash = trash;
    this.#clock = clock;
    this.#node = node;
  }

  async assertWithin(budgetMs: number, volumes: readonly Volume[]): Promise<void> {
    const images = await Promise.all(
      volumes.map(async ({ id }) => {
        const image = this.#layout.volumeImage(id);
        return { id, image, extents: await extentCount(image) };
      }),
    );
    const sum = sumOf(images.map(({ extents }) => extents));
    if (!this.#price.refuses(sum, budgetMs)) return;
    const [worst] = images.toSorted((a, b) => b.extents - a.extents);
    throw new DriverError(
      'failed-precondition',
      `the cut would hold up writers for about ${Math.round(this.#price.predictMs(sum))} ms, and the budget of a fence is ${budgetMs} ms: ` +
        `volume ${worst?.id} has ${worst?.extents} extents; defragment it (xfs_fsr -v ${worst?.image}), copy its files ` +
        'to a new volume, or raise --fence-budget-ms',
    );
  }

  async prepare(plan: RoundPlan): Promise<void> {
    for (const { volumeId } of plan.members) {
      if (!this.#store.volumes.get(volumeId)) throw notFound('volume', volumeId);
    }
    await this.#makeFolder(plan.token);
    await using opened = new AsyncDisposableStack();
    const clones = new Map<VolumeId, PendingClone>();
    for (const { volumeId, snapshotId } of plan.members) {
      const target = this.#layout.snapshotImage(plan.token, snapshotId);
      clones.set(volumeId, opened.use(await PendingClone.open(this.#layout.volumeImage(volumeId), target)));
    }
    await failpoint('snapshot.prepared');
    const time = { startMs: Number.POSITIVE_INFINITY, endMs: 0 };
    this.#open.set(plan.token, { plan, clones, opened: opened.move(), made: new Set(), time });
  }

  async cutMember(token: RoundToken, volumeId: VolumeId): Promise<void> {
    const { clones, made, time } = this.#cut(token);
    const clone = clones.get(volumeId);
    if (!clone) throw new DriverError('internal', `volume ${volumeId} is not in round ${token}`);
    time.startMs = Math.min(time.startMs, this.#clock.monotonicMs());
    await clone.make();
    time.endMs = this.#clock.monotonicMs();
    made.add(volumeId);
    await failpoint('snapshot.cut');
  }

  async seal(token: RoundToken, evidence: readonly MemberEvidence[]): Promise<void> {
    const { plan, clones, opened, made, time } = this.#cut(token);
    const { members, name, group } = plan;
    const missing = members.find(({ volumeId }) => !made.has(volumeId));
    if (missing) throw new DriverError('aborted', `volume ${missing.volumeId} was not cut in round ${token}`);
    const extents = await Promise.all([...clones.values()].map((clone) => clone.extents()));
    this.#price.learn(sumOf(extents), time.endMs - time.startMs);
    const createdAt = this.#clock.wallMs();
    const snapshots = await Promise.all(
      members.map(async ({ volumeId, snapshotId }): Promise<Snapshot> => {
        const volume = this.#store.volumes.get(volumeId);
        if (!volume) throw notFound('volume', volumeId);
        return {
          id: snapshotId,
          name,
          node: this.#node,
          sourceVolumeId: volumeId,
          sizeBytes: volume.capacityBytes,
          heldBytes: await allocatedBytes(this.#layout.snapshotImage(token, snapshotId)),
          content: volume.content,
          createdAt,
          ...(group && { groupId: group.id }),
        };
      }),
    );
    const record: CutRecord = { token, node: this.#node, ...(group && { group }), snapshots, evidence };
    await writeFileWhole(this.#record(token, SEALED), encodeCut(record), syncAll([...clones.values()]));
    await opened.disposeAsync();
    // Else a power cut before the commit takes the cut away, as the sweep would.
    if (isDecidedElsewhere(group, this.#node)) await syncFolders([this.#layout.cut(token), this.#layout.cuts]);
    this.#store.putSealed(record);
    await failpoint('snapshot.sealed');
  }

  async commit(token: RoundToken): Promise<CutRecord> {
    const committed = this.#store.cut(token);
    if (committed) return committed;
    const sealed = this.#record(token, SEALED);
    const file = this.#record(token, COMMITTED);
    // An earlier call may have given it its name, and failed to put that on disk.
    const named = await exists(file);
    const from = named ? file : sealed;
    const record = decodeCut(await this.#readSealed(from, token), from, token);
    if (named) await syncFolders([this.#layout.cut(token), this.#layout.cuts]);
    else await renameDurably(sealed, file, [this.#layout.cuts]);
    this.#store.putCut(record);
    this.#open.delete(token);
    await failpoint('snapshot.committed');
    return record;
  }

  async abort(token: RoundToken): Promise<void> {
    if (this.#store.cut(token)) {
      throw new DriverError('failed-precondition', `round ${token} is committed and can't be aborted`);
    }
    await this.#open.get(token)?.opened.disposeAsync();
    this.#open.delete(token);
    await this.#trash.discard(this.#layout.cut(token));
    // Not before: what is still there holds space, and is to be aborted again.
    this.#store.removeSealed(token);
  }

  /** Deletes a whole cut: a group, or the one snapshot of a CreateSnapshot. Again: what there still is of it. */
  async delete(record: CutRecord): Promise<void> {
    await failpoint('snapshot.delete.start');
    const file = this.#record(record.token, COMMITTED);
    try {
      if (this.#store.cut(record.token)) await unlinkDurably(file);
    } finally {
      // Also when it could not be synced: what is not on disk must not be in memory. The next call does not find it.
      if (!(await exists(file))) {
        if (this.#store.cut(record.token)) this.#store.removeCut(record);
        await failpoint('snapshot.delete.unrecorded');
        await this.#trash.discard(this.#layout.cut(record.token));
      }
    }
  }

  async #makeFolder(token: RoundToken): Promise<void> {
    try {
      await mkdir(this.#layout.cut(token));
    } catch (error) {
      if (isErrno(error, 'EEXIST')) throw new DriverError('aborted', `round ${token} is prepared already`);
      throw error;
    }
  }

  async #readSealed(file: string, token: RoundToken): Promise<string> {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) throw new DriverError('aborted', `round ${token} was not cut, or was aborted`);
      throw error;
    }
  }

  #cut(token: RoundToken): OpenCut {
    const cut = this.#open.get(token);
    if (!cut) throw new DriverError('aborted', `round ${token} is not prepared here`);
    return cut;
  }

  #record(token: RoundToken, name: string): string {
    return path.join(this.#layout.cut(token), name);
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

async function syncAll(clones: readonly PendingClone[]): Promise<void> {
  await Promise.all(clones.map((clone) => clone.sync()));
  await failpoint('snapshot.synced');
}
