/** How things are called in a pool of LVM: logical volumes, their tags, and devices. Only ids that were parsed get in. */
import { localOf, type SnapshotId, type VolumeId } from '../../core/ids.ts';
import type { RoundToken } from '../../core/round.ts';
import type { LogicalVolume } from '../../host/lvm/lvm.ts';
import { decodeTag, encodeTag } from '../../host/lvm/tags.ts';

export const VOLUME_NAME = /^vol-[a-z2-7]{26}$/;
export const SNAPSHOT_NAME = /^snap-[a-z2-7]{26}\.[0-9a-f]{16}$/;

/** Prefix of volumes that are there only for an instant, when a pool is opened. */
export const STARTING = 'starting-';

/** On the pool, when we made it: only then is it ours to grow. */
export const POOL_TAG = encodeTag('cofferdam.pool', '1');

/**
 * On every logical volume of ours until it is committed, and again from when its deletion begins: it does not exist for
 * anybody but the sweep.
 */
export const PENDING_TAG = encodeTag('cofferdam.state', 'pending');
/** On the leader of a cut, instead of `pending`. */
export const SEALED_TAG = encodeTag('cofferdam.state', 'sealed');

const RECORD = 'cofferdam.record';
/** LVM was tried with tags of 16384 characters; a record that is longer takes several. */
const RECORD_CHARACTERS = 4000;

export function volumeName(id: VolumeId): string {
  return localOf(id);
}

/** With the round: an attempt that was given up may still be there when the next one is made. */
export function snapshotName(token: RoundToken, id: SnapshotId): string {
  return `${localOf(id)}.${token}`;
}

/** On every member of a cut. */
export function cutTag(token: RoundToken): string {
  return encodeTag('cofferdam.cut', token);
}

export function cutOf({ tags }: LogicalVolume): RoundToken | undefined {
  return tags.map(decodeTag).find((tag) => tag?.[0] === 'cofferdam.cut')?.[1];
}

/** A record in as many tags as it takes. */
export function recordTags(record: string): readonly string[] {
  const parts = record.match(new RegExp(`[^]{1,${RECORD_CHARACTERS}}`, 'gu')) ?? [];
  return parts.map((part, index) => encodeTag(`${RECORD}.${index}`, part));
}

/** Whether `recordTags` made it. */
export function isRecordTag(tag: string): boolean {
  return tag.startsWith(`${RECORD}.`);
}

/** Undefined when there is none. */
export function recordIn(tags: readonly string[]): string | undefined {
  const parts = tags
    .filter(isRecordTag)
    .map(decodeTag)
    .filter((tag) => tag !== undefined)
    .map(([key, value]) => [Number(key.slice(RECORD.length + 1)), value] as const)
    .toSorted(([a], [b]) => a - b);
  return parts.length === 0 ? undefined : parts.map(([, value]) => value).join('');
}
