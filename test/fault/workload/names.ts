import { groupId, memberSnapshotId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { NODE_NAME } from '../../support/serve.ts';

const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

export const BLANKS = numbered('v', 16);
export const COPIES = numbered('c', 10);
export const SNAPSHOTS = numbered('s', 12);
export const GROUPS = numbered('g', 6);
export const TARGETS = numbered('t', 2);

/** Ids say nothing that their names do not: a call can name what there is not. */
export const idOf = {
  volume: (name: string) => volumeId(NODE_NAME, name),
  snapshot: (name: string) => snapshotId(NODE_NAME, name),
  group: (name: string) => groupId(NODE_NAME, name),
  members: (name: string, members: readonly string[]) =>
    members.map((member) => memberSnapshotId(NODE_NAME, name, volumeId(NODE_NAME, member))),
};

const byId = new Map([...BLANKS, ...COPIES].map((name) => [idOf.volume(name), name]));
const snapshotById = new Map(SNAPSHOTS.map((name) => [idOf.snapshot(name), name]));

/** The name of a volume; the id itself when it is none of these. */
export function volumeNamed(id: string): string {
  return byId.get(id) ?? id;
}

export function snapshotNamed(id: string): string | undefined {
  return snapshotById.get(id);
}
