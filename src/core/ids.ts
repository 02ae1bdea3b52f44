/**
 * Ids say where a thing lives and are derived from its CSI name (docs/design.md, invariant 2):
 *
 *   vol-<hash>.<node>    snap-<hash>.<node>    group-<hash>.<home>
 *
 * `<hash>` is 26 characters of base32 (130 bits of SHA-256): CSI names may be 128 bytes of anything, ids and file names
 * may not. A retry of CreateVolume therefore computes the same id and finds its own volume. The part before the dot is
 * safe as a file name. A group spans nodes; the node in its id is its home, where its existence is decided
 * (docs/adr/0005-many-nodes.md).
 */
import { createHash } from 'node:crypto';
import { DriverError } from './errors.ts';

export type NodeName = string;
export type VolumeId = string;
export type SnapshotId = string;
export type GroupId = string;

/**
 * The name is a topology value too, which has 63 characters at most (CSI specification, "Topology"). An id, whose prefix
 * and hash take 32, so stays below the 128 bytes that CSI strings may have.
 */
export const MAX_NODE_NAME_LENGTH = 63;

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const HASH_LENGTH = 26;
const NODE = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
const ID = /^(vol|snap|group)-([a-z2-7]{26})\.([a-z0-9.-]+)$/;
const KINDS = { vol: 'volume', snap: 'snapshot', group: 'group' } as const;

/** A node name as Kubernetes allows it (RFC 1123 subdomain), short enough to fit in an id. */
export function isNodeName(name: string): boolean {
  return name.length <= MAX_NODE_NAME_LENGTH && NODE.test(name);
}

export function volumeId(node: NodeName, name: string): VolumeId {
  return `vol-${hash('volume', name)}.${node}`;
}

export function snapshotId(node: NodeName, name: string): SnapshotId {
  return `snap-${hash('snapshot', name)}.${node}`;
}

/** The id of one member of a group snapshot: derived from the group's name and the member's volume. */
export function memberSnapshotId(node: NodeName, groupName: string, volume: VolumeId): SnapshotId {
  return `snap-${hash('member', groupName, volume)}.${node}`;
}

/** @param home the node where the group is decided: `homeOf` its members' nodes */
export function groupId(home: NodeName, name: string): GroupId {
  return `group-${hash('group', name)}.${home}`;
}

/**
 * The node that decides over a group on these nodes: the one with the least name.
 * @throws RangeError when there are none
 */
export function homeOf(nodes: Iterable<NodeName>): NodeName {
  const [first, ...others] = nodes;
  if (first === undefined) throw new RangeError('a group without a node has no home');
  return others.reduce((least, node) => (node < least ? node : least), first);
}

export interface ParsedId {
  readonly kind: 'volume' | 'snapshot' | 'group';
  readonly node: NodeName;
  /** The id without its node: safe as a file name. */
  readonly local: string;
}

/** Undefined for anything that this driver cannot have made: such a thing simply does not exist. */
export function parseId(id: string): ParsedId | undefined {
  const match = ID.exec(id);
  if (!match || !isNodeName(match[3] ?? '')) return undefined;
  const prefix = match[1] as keyof typeof KINDS;
  return { kind: KINDS[prefix], node: match[3] ?? '', local: `${prefix}-${match[2]}` };
}

/** An id without its node: safe as a file name. @throws DriverError internal: callers were given ids of ours */
export function localOf(id: string): string {
  const parsed = parseId(id);
  if (!parsed) throw new DriverError('internal', `${JSON.stringify(id)} is not an id of this driver`);
  return parsed.local;
}

/** Under which a thing is locked: its id without its node, none for what is no id of ours. */
export function lockKeysOf(...ids: readonly string[]): readonly string[] {
  return ids.flatMap((id) => parseId(id)?.local ?? []);
}

/** The node in an id, or undefined when it is not one of our ids of this kind. */
export function nodeOf(kind: ParsedId['kind'], id: string): NodeName | undefined {
  const parsed = parseId(id);
  return parsed?.kind === kind ? parsed.node : undefined;
}

function hash(...parts: readonly string[]): string {
  const digest = createHash('sha256');
  // Length-prefixed, so that ("a","bc") and ("ab","c") differ.
  for (const part of parts) digest.update(`${Buffer.byteLength(part)}:${part}`);
  let bits = BigInt(`0x${digest.digest('hex').slice(0, 33)}`) >> 2n; // 130 of 132 bits
  let text = '';
  for (let i = 0; i < HASH_LENGTH; i++) {
    text = BASE32.charAt(Number(bits & 31n)) + text;
    bits >>= 5n;
  }
  return text;
}
