import type { Stats } from 'node:fs';

// What kubelet gives with fsGroup: the group reads and writes everything, enters folders, and owns what is made in them.
export const FILE_BITS = 0o0660;
export const FOLDER_BITS = 0o2770;

/** Whether something is the group's already. */
export function isGroupOwned({ gid, mode }: Stats, group: number, bits: number): boolean {
  return gid === group && (mode & bits) === bits;
}
