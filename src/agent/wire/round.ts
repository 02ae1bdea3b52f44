import { TEST_BUILD } from '../../core/build.ts';
import { invalidArgument } from '../../core/errors.ts';
import { homeOf, type NodeName, nodeOf } from '../../core/ids.ts';
import {
  type Decision,
  type GroupIntent,
  MAX_LEASE_MS,
  type MemberEvidence,
  nodesOfGroup,
  type Quiescence,
  type RoundMember,
  type RoundPlan,
  type SealedPart,
} from '../../core/round.ts';
import type {
  GroupIntent as WireIntent,
  GroupIntent__Output as WireIntentOutput,
} from '../../gen/cofferdam/agent/v1/GroupIntent.ts';
import type {
  MemberEvidence as WireEvidence,
  MemberEvidence__Output as WireEvidenceOutput,
} from '../../gen/cofferdam/agent/v1/MemberEvidence.ts';
import type { PrepareRequest, PrepareRequest__Output } from '../../gen/cofferdam/agent/v1/PrepareRequest.ts';
import type { RoundMember__Output } from '../../gen/cofferdam/agent/v1/RoundMember.ts';
import type {
  SealedPart as WirePart,
  SealedPart__Output as WirePartOutput,
} from '../../gen/cofferdam/agent/v1/SealedPart.ts';
import type { Wire } from '../../rpc/types.ts';
import { readId, readIdOn, readMap, readName, readToken, readValue, required } from './fields.ts';

const QUIESCENCES = {
  frozen: 'FROZEN',
  suspended: 'SUSPENDED',
  idle: 'IDLE',
  unfenced: 'UNFENCED',
} as const satisfies Record<Quiescence, string>;

const DECISIONS = {
  committed: 'COMMITTED',
  aborted: 'ABORTED',
  pending: 'PENDING',
} as const satisfies Record<Decision, string>;

export function writeQuiescence(quiescence: Quiescence): (typeof QUIESCENCES)[Quiescence] {
  return QUIESCENCES[quiescence];
}

export function readQuiescence(field: string, wire: unknown): Quiescence {
  return readValue(field, QUIESCENCES, wire);
}

export function writeDecision(decision: Decision): (typeof DECISIONS)[Decision] {
  return DECISIONS[decision];
}

export function readDecision(field: string, wire: unknown): Decision {
  return readValue(field, DECISIONS, wire);
}

export function writeEvidence(evidence: MemberEvidence): Wire<WireEvidence> {
  return { ...evidence, quiescence: writeQuiescence(evidence.quiescence) };
}

export function readEvidence(node: NodeName, field: string, wire: WireEvidenceOutput): MemberEvidence {
  const { volumeId, quiescence, frozenAtMs, cutAtMs, thawedAtMs, leaseLeftMs } = wire;
  return {
    volumeId: readIdOn(node, `${field}.volume_id`, 'volume', volumeId),
    quiescence: readQuiescence(`${field}.quiescence`, quiescence),
    frozenAtMs,
    cutAtMs,
    thawedAtMs,
    leaseLeftMs,
  };
}

export function writeIntent({ id, name, volumeIds, parameters }: GroupIntent): Wire<WireIntent> {
  return { id, name, volumeIds, parameters };
}

/** @throws DriverError invalid-argument; also for a group whose home is not where its members say */
export function readIntent(field: string, wire: WireIntentOutput): GroupIntent {
  if (wire.volumeIds.length === 0) throw invalidArgument(`${field}.volume_ids`, 'required');
  const intent = {
    id: readId(`${field}.id`, 'group', wire.id),
    name: readName(`${field}.name`, wire.name),
    volumeIds: wire.volumeIds.map((id, i) => readId(`${field}.volume_ids[${i}]`, 'volume', id)),
    parameters: readMap(`${field}.parameters`, wire.parameters),
  };
  if (nodeOf('group', intent.id) !== homeOf(nodesOfGroup(intent))) {
    throw invalidArgument(`${field}.id`, 'names another home than the members do');
  }
  return intent;
}

export function writePlan({ token, name, group, members, leaseMs, fenced }: RoundPlan): Wire<PrepareRequest> {
  return { token, name, ...(group && { group: writeIntent(group) }), members, leaseMs, fenced };
}

/** @throws DriverError invalid-argument for what this node can't prepare */
export function readPlan(node: NodeName, wire: PrepareRequest__Output): RoundPlan {
  const { leaseMs, fenced = true } = wire;
  if (leaseMs < 1 || leaseMs > MAX_LEASE_MS) throw invalidArgument('lease_ms', `must be from 1 to ${MAX_LEASE_MS}`);
  if (!fenced && !TEST_BUILD) throw invalidArgument('fenced', 'must be true');
  const group = wire.group && readIntent('group', wire.group);
  const members = readMembers(node, wire.members);
  if (group) checkMembers(node, group, members);
  return {
    token: readToken('token', wire.token),
    name: readName('name', wire.name),
    ...(group && { group }),
    members,
    leaseMs,
    fenced,
  };
}

function readMembers(node: NodeName, wire: readonly RoundMember__Output[]): readonly RoundMember[] {
  if (wire.length === 0) throw invalidArgument('members', 'required');
  const seen = new Set<string>();
  return wire.map(({ volumeId, snapshotId }, i) => {
    readIdOn(node, `members[${i}].volume_id`, 'volume', volumeId);
    readIdOn(node, `members[${i}].snapshot_id`, 'snapshot', snapshotId);
    for (const id of [volumeId, snapshotId]) {
      if (seen.has(id)) throw invalidArgument(`members[${i}]`, `${id} is there twice`);
      seen.add(id);
    }
    return { volumeId, snapshotId };
  });
}

/** Those of the group on this node, all of them: else a part of it would be missing for ever. */
function checkMembers(node: NodeName, group: GroupIntent, members: readonly RoundMember[]): void {
  const asked = new Set(members.map(({ volumeId }) => volumeId));
  const own = new Set(group.volumeIds.filter((id) => nodeOf('volume', id) === node));
  if (asked.size !== own.size || asked.difference(own).size > 0) {
    throw invalidArgument('members', "must be the group's members on this node");
  }
}

export function writePart({ token, group }: SealedPart): Wire<WirePart> {
  return { token, group: writeIntent(group) };
}

export function readPart(field: string, wire: WirePartOutput): SealedPart {
  return {
    token: readToken(`${field}.token`, wire.token),
    group: readIntent(`${field}.group`, required(`${field}.group`, wire.group)),
  };
}
