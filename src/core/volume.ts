import { type Bytes, MiB } from './bytes.ts';
import type { NodeName, SnapshotId, VolumeId } from './ids.ts';

export const FS_TYPES = ['ext4', 'xfs', 'btrfs'] as const;
export type FsType = (typeof FS_TYPES)[number];
/** What their mkfs asks for at least: mkfs.xfs refuses less than 300 MiB; the others get no room for a file. */
export const MIN_FILESYSTEM_BYTES: Readonly<Record<FsType, Bytes>> = {
  ext4: 8n * MiB,
  xfs: 300n * MiB,
  btrfs: 16n * MiB,
};
export const DEFAULT_FS_TYPE: FsType = 'ext4';

/** Undefined for a filesystem that this driver does not make. */
export function asFsType(name: string | undefined): FsType | undefined {
  return FS_TYPES.find((fsType) => fsType === name);
}

/**
 * What a volume is known to hold. Only `blank` and `formatting` may ever be formatted (docs/design.md, invariant 4):
 *
 *   blank ── before mkfs ──▶ formatting ── after mkfs ──▶ filesystem
 *     └──── before it is handed out as a block device ──▶ raw
 *
 * A crash inside mkfs leaves `formatting`: nobody has used the filesystem yet, so mkfs may run again. One while an
 * unmounted filesystem is made larger leaves `growing`: what is wrong with it then was right before.
 */
export type Content =
  | { readonly kind: 'blank' }
  | { readonly kind: 'formatting'; readonly fsType: FsType }
  /** `identity: 'copied'`: the filesystem has its source's UUID, and keeps it. */
  | {
      readonly kind: 'filesystem';
      readonly fsType: FsType;
      readonly identity: 'own' | 'copied';
      readonly growing?: true;
    }
  | { readonly kind: 'raw'; readonly growing?: true };

/** What a volume is handed out as: a filesystem on a folder, or a block device. */
export const ACCESS_TYPES = ['mount', 'block'] as const;
export type AccessType = (typeof ACCESS_TYPES)[number];

export type ContentSource =
  | { readonly kind: 'snapshot'; readonly id: SnapshotId }
  | { readonly kind: 'volume'; readonly id: VolumeId };

export interface Volume {
  readonly id: VolumeId;
  /** The name that the CO gave in CreateVolume. */
  readonly name: string;
  readonly node: NodeName;
  readonly capacityBytes: Bytes;
  readonly content: Content;
  /** What it was made for. Absent: made by a release that did not write it down. */
  readonly accessType?: AccessType;
  readonly source?: ContentSource;
  /** StorageClass parameters and the like, as given. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What a volume is to be. Sizes are already decided. */
export interface VolumeSpec {
  readonly id: VolumeId;
  readonly name: string;
  readonly capacityBytes: Bytes;
  readonly accessType?: AccessType;
  readonly source?: ContentSource;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Whether a volume was made for this; where it is not known, it may have been. */
export function isMadeFor({ accessType }: Pick<Volume, 'accessType'>, wanted: AccessType | undefined): boolean {
  return accessType === undefined || wanted === undefined || accessType === wanted;
}

/** Names one attempt at creating a volume that may be made on several nodes. 16 hexadecimal digits. */
export type Claim = string;

/** What CreateVolume asks a node for. */
export interface NewVolume extends VolumeSpec {
  /** The attempt that this is part of: made only if no other has claimed the volume since. Absent: made in any case. */
  readonly claim?: Claim;
}
