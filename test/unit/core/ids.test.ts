import { describe, expect, test } from '@jest/globals';
import {
  groupId,
  homeOf,
  isNodeName,
  lockKeysOf,
  MAX_NODE_NAME_LENGTH,
  memberSnapshotId,
  nodeOf,
  parseId,
  snapshotId,
  volumeId,
} from '../../../src/core/ids.ts';

const NODE = 'node-a.example.com';
const CSI_ID_BYTES = 128;

describe('an id', () => {
  test('is the same for the same name, and says where its volume lives', () => {
    expect(volumeId(NODE, 'pvc-1')).toBe(volumeId(NODE, 'pvc-1'));
    expect(nodeOf('volume', volumeId(NODE, 'pvc-1'))).toBe(NODE);
    expect(nodeOf('snapshot', snapshotId(NODE, 'pvc-1'))).toBe(NODE);
    expect(nodeOf('snapshot', memberSnapshotId(NODE, 'group', volumeId(NODE, 'pvc-1')))).toBe(NODE);
    expect(nodeOf('volume', snapshotId(NODE, 'pvc-1'))).toBeUndefined();
    expect(nodeOf('group', groupId(NODE, 'pvc-1'))).toBe(NODE);
    expect(nodeOf('volume', groupId(NODE, 'pvc-1'))).toBeUndefined();
  });

  test('of one name differs by kind and node, and by every part that it is made of', () => {
    const ids = [
      volumeId('a', 'name'),
      volumeId('b', 'name'),
      snapshotId('a', 'name'),
      memberSnapshotId('a', 'name', volumeId('a', 'name')),
      memberSnapshotId('a', 'nam', `e${volumeId('a', 'name')}`),
      groupId('a', 'name'),
    ];
    // A volume's hash knows nothing of its node; everything else tells the hashes apart.
    expect(new Set(ids.map((id) => id.split('.')[0]?.replace(/^[a-z]+-/, ''))).size).toBe(ids.length - 1);
    expect(new Set(ids).size).toBe(ids.length);
  });

  // Known answers: the ids of volumes that exist must never change.
  test('is what it always was', () => {
    expect(volumeId('node-a', 'pvc-1')).toBe('vol-ir26gao4u5jfdpxtbigwfdlrtl.node-a');
    expect(snapshotId('node-a', 'snapshot-1')).toBe('snap-e7il4nthjagfzn5yplaxsfbqcm.node-a');
    expect(groupId('node-a', 'groupsnapshot-1')).toBe('group-m5bd3jgmmvm4pypbo24aefshoo.node-a');
    expect(memberSnapshotId('node-a', 'g', 'v')).toBe('snap-kuomqbjcrfqqgcqkwbdu7rnebb.node-a');
  });

  test.each([
    ['128 bytes', 'n'.repeat(128)],
    ['path tricks', '../../etc/passwd'],
    ['nothing but dots', '..'],
    ['a zero byte', 'a\0b'],
    ['unicode', 'größe-容量-🌊'],
    ['spaces and newlines', ' a\n b '],
    ['the empty string', ''],
  ])('of a name with %s is safe as a file name and fits into a CSI string', (_, name) => {
    const node = 'n'.repeat(MAX_NODE_NAME_LENGTH);
    for (const id of [volumeId(node, name), snapshotId(node, name), groupId(node, name)]) {
      expect(Buffer.byteLength(id)).toBeLessThanOrEqual(CSI_ID_BYTES);
      expect(parseId(id)?.local).toMatch(/^(vol|snap|group)-[a-z2-7]{26}$/);
    }
  });

  test('keeps names apart that differ in a byte, or in their unicode form only', () => {
    const names = ['a', 'A', 'a ', '\u00e4', 'a\u0308', 'a\0'];
    expect(new Set(names.map((name) => volumeId('n', name))).size).toBe(names.length);
  });
});

const HASH = 'a'.repeat(26);

test.each([
  '',
  'vol-',
  `vol-${HASH}`,
  `vol-${HASH}.`,
  `vol-${HASH}.Node`,
  `vol-${HASH}.-node`,
  `vol-${HASH}.node-`,
  `vol-${HASH}.no_de`,
  `vol-${HASH}.node/..`,
  `vol-${HASH}.node\n`,
  ` vol-${HASH}.node`,
  `vol-${'1'.repeat(26)}.node`,
  `vol-${HASH}a.node`,
  `vol-../../../../etc/passwd.node`,
  `group-${HASH}`,
  `VOL-${HASH}.node`,
  `vol-${HASH}.${'n'.repeat(MAX_NODE_NAME_LENGTH + 1)}`,
])('%j is no id of ours', (id) => {
  expect(parseId(id)).toBeUndefined();
});

test('the home of a group is the least of its nodes, whatever their order', () => {
  for (const nodes of [
    ['a', 'b', 'c'],
    ['c', 'b', 'a'],
    ['b', 'a', 'b', 'c'],
  ])
    expect(homeOf(nodes)).toBe('a');
  expect(() => homeOf([])).toThrow(RangeError);
});

test('a thing is locked under its id without its node; what is no id of ours has no lock', () => {
  expect(lockKeysOf(volumeId('a', 'v'), 'foreign', groupId('b', 'g'))).toEqual([
    volumeId('b', 'v').split('.')[0],
    groupId('a', 'g').split('.')[0],
  ]);
});

test('node names are those of Kubernetes, short enough for an id', () => {
  for (const name of ['a', '0', 'node-a', 'ip-10-0-0-1.eu-west-1.compute.internal', 'n'.repeat(MAX_NODE_NAME_LENGTH)]) {
    expect(isNodeName(name)).toBe(true);
    expect(nodeOf('volume', volumeId(name, 'x'))).toBe(name);
  }
  for (const name of ['', '-a', 'a-', '.a', 'a.', 'A', 'a_b', 'a/b', 'a b', 'ä', 'a\n', 'n'.repeat(97)]) {
    expect(isNodeName(name)).toBe(false);
  }
});
