import { randomBytes } from 'node:crypto';
import { type GroupId, type NodeName, nodeOf, type SnapshotId, type VolumeId } from './ids.ts';

/** Names one attempt at a group snapshot. A retry is a new round with a new token. 16 hexadecimal digits. */
export type RoundToken = string;

export function newToken(): RoundToken {
  return randomBytes(8).toString('hex');
}

export function isRoundToken(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text);
}

/** Longest lease of a round, milliseconds: nobody keeps a node's writers waiting for longer. */
export const MAX_LEASE_MS = 30_000;

export interface RoundMember {
  readonly volumeId: VolumeId;
  readonly snapshotId: SnapshotId;
}

/** What a group snapshot was asked to be; a retry must ask the same. */
export interface GroupIntent {
  readonly id: GroupId;
  readonly name: string;
  /** All members, on all nodes, sorted. */
  readonly volumeIds: readonly VolumeId[];
  readonly parameters: Readonly<Record<string, string>>;
}

/** What the coordinator asks one node to prepare. */
export interface RoundPlan {
  readonly token: RoundToken;
  /** The CO's name of the snapshot or the group. */
  readonly name: string;
  readonly group?: GroupIntent;
  /** The members on this node. */
  readonly members: readonly RoundMember[];
  /** Milliseconds from freeze until the node thaws by itself and refuses to cut, on the node's own monotonic clock. */
  readonly leaseMs: number;
  /** False only in the test build: the negative control of the consistency proof. */
  readonly fenced: boolean;
}

/** How a member is kept quiet. */
export type Quiescence =
  /** Its filesystem is frozen. */
  | 'frozen'
  /** Its device is suspended: a raw block volume. */
  | 'suspended'
  /** Nothing has it mounted or attached for writing: there is nothing to stop. */
  | 'idle'
  /** It can't be stopped, but its own cut is atomic: at most one in a round, and it is cut first. */
  | 'unfenced';

/** Times are milliseconds on the node's monotonic clock, counted from the start of the freeze. */
export interface MemberEvidence {
  readonly volumeId: VolumeId;
  readonly quiescence: Quiescence;
  readonly frozenAtMs: number;
  readonly cutAtMs: number;
  readonly thawedAtMs: number;
  /** What was left of the lease when the cut was done. */
  readonly leaseLeftMs: number;
}

/** A node's answer to `prepare`. */
export interface PreparedNode {
  /** How each member will be kept quiet, in the plan's order. */
  readonly quiescence: readonly Quiescence[];
}

/** A node's answer to `freeze`. */
export interface FrozenNode {
  /** Milliseconds of the lease that were left when the last member was frozen. */
  readonly leaseLeftMs: number;
}

/** A node's answer to `cut`: its members are cut and thawed, not yet visible. */
export interface CutNode {
  readonly evidence: readonly MemberEvidence[];
}

/** A part of a round that is sealed on its node, and waits for the group's home to decide. */
export interface SealedPart {
  readonly token: RoundToken;
  readonly group: GroupIntent;
}

/** What the home of a group says of a round. */
export type Decision = 'committed' | 'aborted' | 'pending';

/** The nodes that a group has members on. */
export function nodesOfGroup(group: Pick<GroupIntent, 'volumeIds'>): ReadonlySet<NodeName> {
  return new Set(group.volumeIds.flatMap((id) => nodeOf('volume', id) ?? []));
}

/** Whether another node than this one decides over a cut of this group. */
export function isDecidedElsewhere(group: GroupIntent | undefined, node: NodeName): boolean {
  return group !== undefined && nodeOf('group', group.id) !== node;
}
