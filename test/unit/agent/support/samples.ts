/** Values at their limits, of everything that an agent is asked and answers. */

import type { VolumeHealth } from '../../../../src/core/health.ts';
import { groupId, memberSnapshotId, snapshotId, volumeId } from '../../../../src/core/ids.ts';
import type { GroupIntent, MemberEvidence, RoundPlan, SealedPart } from '../../../../src/core/round.ts';
import type { CutRecord, Snapshot } from '../../../../src/core/snapshot.ts';
import type { Content, Volume, VolumeSpec } from '../../../../src/core/volume.ts';

export const NODE = 'node-b.example';
export const OTHER_NODE = 'node-a';
/** 128 bytes, none of them ASCII. */
export const NAME = `${'名前🤡é'.repeat(10)}🤡🤡`;
/** A JavaScript number does not hold it. */
export const BIG = 2n ** 63n + 12_345_678_901n;
export const TOKEN = '0123456789abcdef';

export const V1 = volumeId(NODE, 'one');
export const V2 = volumeId(NODE, 'two');
export const FAR = volumeId(OTHER_NODE, 'far');
export const S1 = snapshotId(NODE, 'one');
/** Its home is the other node. */
export const G = groupId(OTHER_NODE, NAME);
export const M1 = memberSnapshotId(NODE, NAME, V1);
export const M2 = memberSnapshotId(NODE, NAME, V2);

const PARAMETERS = { 'csi.storage.k8s.io/pvc/name': NAME, empty: '', ключ: 'значение' };

export const SPEC: VolumeSpec = { id: V1, name: NAME, capacityBytes: BIG, parameters: PARAMETERS };

export function volume(change: Partial<Volume> = {}): Volume {
  return { ...SPEC, node: NODE, content: { kind: 'blank' }, createdAt: 1_763_800_000_123, ...change };
}

export const CONTENTS: readonly Content[] = [
  { kind: 'blank' },
  { kind: 'formatting', fsType: 'xfs' },
  { kind: 'filesystem', fsType: 'ext4', identity: 'own' },
  { kind: 'filesystem', fsType: 'btrfs', identity: 'copied' },
  { kind: 'filesystem', fsType: 'ext4', identity: 'own', growing: true },
  { kind: 'raw' },
  { kind: 'raw', growing: true },
];

export function health(change: Partial<VolumeHealth> = {}): VolumeHealth {
  const conditions = (['degraded', 'inaccessible', 'data-loss'] as const).map((status) => ({
    ...{ status, reason: 'FilesystemErrors', message: NAME },
  }));
  return { id: V1, conditions, ...change };
}

export function snapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    id: S1,
    name: NAME,
    node: NODE,
    sourceVolumeId: V1,
    sizeBytes: BIG,
    heldBytes: 0n,
    content: { kind: 'raw' },
    createdAt: 1,
    ...change,
  };
}

export const INTENT: GroupIntent = { id: G, name: NAME, volumeIds: [FAR, V1, V2], parameters: PARAMETERS };

export const EVIDENCE: readonly MemberEvidence[] = (['frozen', 'suspended', 'idle', 'unfenced'] as const).map(
  (quiescence, i) => ({
    volumeId: i % 2 === 0 ? V1 : V2,
    quiescence,
    frozenAtMs: 0.1 + i,
    cutAtMs: 1e-7,
    thawedAtMs: 12_345.678_901,
    leaseLeftMs: -1.5,
  }),
);

export const RECORD: CutRecord = {
  token: TOKEN,
  node: NODE,
  group: INTENT,
  snapshots: [snapshot({ id: M1, groupId: G }), snapshot({ id: M2, sourceVolumeId: V2, groupId: G })],
  evidence: EVIDENCE,
};

export const PLAN: RoundPlan = {
  token: TOKEN,
  name: NAME,
  group: INTENT,
  members: [
    { volumeId: V1, snapshotId: M1 },
    { volumeId: V2, snapshotId: M2 },
  ],
  leaseMs: 5000,
  fenced: true,
};

export const PART: SealedPart = { token: TOKEN, group: INTENT };
