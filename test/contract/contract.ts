/** What the contract suite needs to know of a backend, and small helpers of its tests. */
import { open } from 'node:fs/promises';
import type { AttachedDevice, Backend } from '../../src/core/backend.ts';
import { type Bytes, MiB } from '../../src/core/bytes.ts';
import {
  groupId,
  homeOf,
  memberSnapshotId,
  type SnapshotId,
  snapshotId,
  type VolumeId,
  volumeId,
} from '../../src/core/ids.ts';
import { type MemberEvidence, newToken, nodesOfGroup, type RoundPlan } from '../../src/core/round.ts';
import type { CutRecord } from '../../src/core/snapshot.ts';
import type { ContentSource, VolumeSpec } from '../../src/core/volume.ts';
import type { LogLines } from '../support/rig.ts';

export interface PoolOptions {
  /** 2 GiB unless told. */
  readonly sizeBytes?: Bytes;
  /** 100 unless told: space is not what most tests are about. */
  readonly overcommitRatio?: number;
  /** 0 unless told. */
  readonly reservePercent?: number;
}

/** A real pool. Disposing of it leaves nothing mounted or attached, whatever the backend's instances did. */
export interface ContractPool extends AsyncDisposable {
  /** Of all instances. */
  readonly log: LogLines;
  /** Opens the pool; again: as after a crash, with the earlier instance dropped and never closed. */
  open(): Promise<Backend>;
}

export type MakePool = (options?: PoolOptions) => Promise<ContractPool>;

export const NODE = 'node-a';
/** Whose name makes it the home of a group that has members there too. */
export const HOME_ELSEWHERE = 'node-0';
export const NEVER = new AbortController().signal;
export const BLOCK = 4096;

export function idOf(name: string): VolumeId {
  return volumeId(NODE, name);
}

export function specOf(backend: Backend, name: string, change: Partial<VolumeSpec> = {}): VolumeSpec {
  return { id: idOf(name), name, capacityBytes: backend.minVolumeBytes, parameters: {}, ...change };
}

export async function create(backend: Backend, name: string, change: Partial<VolumeSpec> = {}) {
  return await backend.createVolume(specOf(backend, name, change), NEVER);
}

export async function copy(backend: Backend, name: string, source: ContentSource, capacityBytes: Bytes) {
  return await create(backend, name, { source, capacityBytes });
}

/** Everything there is, by walking through pages of this length. */
export async function pages<T>(
  list: (page: { readonly after?: string; readonly limit: number }) => Promise<{
    readonly items: readonly T[];
    readonly next?: string;
  }>,
  limit: number,
): Promise<readonly T[]> {
  const items: T[] = [];
  for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
    const page = await list({ limit, ...(after !== undefined && { after }) });
    items.push(...page.items);
    after = page.next;
  }
  return items;
}

/** A block of this text, durable, at an offset of the device. */
export async function writeBlock(device: AttachedDevice, text: string, at: Bytes = 0n): Promise<void> {
  await using file = await open(device.path, 'r+');
  await file.write(Buffer.alloc(BLOCK, `${text}.`), 0, BLOCK, Number(at));
  await file.sync();
}

/** @returns the text of the block; empty for zeros */
export async function readBlock(device: AttachedDevice, at: Bytes = 0n): Promise<string> {
  await using file = await open(device.path, 'r');
  const { buffer } = await file.read(Buffer.alloc(BLOCK), 0, BLOCK, Number(at));
  const end = buffer.indexOf('.');
  if (end >= 0) return buffer.toString('utf8', 0, end);
  return buffer.every((byte) => byte === 0) ? '' : 'something else';
}

export async function deviceSize(device: AttachedDevice): Promise<Bytes> {
  await using file = await open(device.path, 'r');
  const last = async (at: Bytes) => (await file.read(Buffer.alloc(1), 0, 1, Number(at))).bytesRead === 1;
  // A device ends where nothing can be read any more; by halves, in steps that all sizes are multiples of.
  let low = 0n;
  let high = 1n << 40n;
  while (high - low > BigInt(BLOCK)) {
    const middle = ((low + high) / 2n / BigInt(BLOCK)) * BigInt(BLOCK);
    if (await last(middle)) low = middle;
    else high = middle;
  }
  return high;
}

/** Attaches, writes, detaches. */
export async function fill(backend: Backend, id: VolumeId, text: string, at: Bytes = 0n): Promise<void> {
  await writeBlock(await backend.attach(id, { readOnly: false }), text, at);
  await backend.detach(id);
}

/** Attaches, reads, detaches. */
export async function textOf(backend: Backend, id: VolumeId, at: Bytes = 0n): Promise<string> {
  const text = await readBlock(await backend.attach(id, { readOnly: true }), at);
  await backend.detach(id);
  return text;
}

export function planOf(name: string, volumes: readonly VolumeId[], elsewhere: readonly VolumeId[] = []): RoundPlan {
  const all = [...volumes, ...elsewhere].toSorted((a, b) => (a < b ? -1 : 1));
  return {
    token: newToken(),
    name,
    group: {
      id: groupId(homeOf(nodesOfGroup({ volumeIds: all })), name),
      name,
      volumeIds: all,
      parameters: { for: 'the contract' },
    },
    members: volumes.map((id) => ({ volumeId: id, snapshotId: memberIdOf(name, id) })),
    leaseMs: 1000,
    fenced: true,
  };
}

/** A round of one, as CreateSnapshot runs it. */
export function singlePlanOf(name: string, volume: VolumeId): RoundPlan {
  const members = [{ volumeId: volume, snapshotId: snapshotId(NODE, name) }];
  return { token: newToken(), name, members, leaseMs: 1000, fenced: true };
}

export function memberIdOf(name: string, volume: VolumeId): SnapshotId {
  return memberSnapshotId(NODE, name, volume);
}

export function evidenceFor({ members }: RoundPlan): readonly MemberEvidence[] {
  return members.map(({ volumeId }, i) => ({
    volumeId,
    quiescence: 'frozen',
    frozenAtMs: 1 + i / 8,
    cutAtMs: 2.5,
    thawedAtMs: 3.125,
    leaseLeftMs: 996,
  }));
}

export const CUT_STEPS = ['prepare', 'cut', 'seal', 'commit'] as const;
export type CutStep = (typeof CUT_STEPS)[number];

/** The steps of a cut, in their order, up to and with this one. */
export async function cutUntil(backend: Backend, plan: RoundPlan, last: CutStep): Promise<void> {
  await backend.prepareCut(plan, NEVER);
  if (last === 'prepare') return;
  for (const { volumeId } of plan.members) await backend.cutMember(plan.token, volumeId);
  if (last === 'cut') return;
  await backend.sealCut(plan.token, evidenceFor(plan));
  if (last === 'seal') return;
  await backend.commitCut(plan.token);
}

export async function cut(backend: Backend, plan: RoundPlan): Promise<CutRecord> {
  await cutUntil(backend, plan, 'seal');
  return await backend.commitCut(plan.token);
}

/** A size that is surely more than the least, and still a multiple. */
export function larger(backend: Backend): Bytes {
  return backend.minVolumeBytes + 16n * MiB;
}
