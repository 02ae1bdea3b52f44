import { expect, test } from '@jest/globals';
import { Cuts } from '../../../src/backends/loop/cuts.ts';
import { Layout } from '../../../src/backends/loop/layout.ts';
import { Store } from '../../../src/backends/loop/store.ts';
import type { Trash } from '../../../src/backends/loop/trash.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { groupId, memberSnapshotId, volumeId } from '../../../src/core/ids.ts';
import type { CutRecord } from '../../../src/core/snapshot.ts';

const V = volumeId('b', 'v');
const RECORD: CutRecord = {
  token: '0123456789abcdef',
  node: 'b',
  group: { id: groupId('a', 'g'), name: 'g', volumeIds: [volumeId('a', 'v'), V], parameters: {} },
  snapshots: [
    {
      id: memberSnapshotId('b', 'g', V),
      name: 'g',
      node: 'b',
      sourceVolumeId: V,
      sizeBytes: 9n,
      heldBytes: 5n,
      content: { kind: 'raw' },
      createdAt: 0,
    },
  ],
  evidence: [],
};

test('a sealed cut that could not be deleted still holds space, and is there to be aborted again', async () => {
  const layout = new Layout('/nowhere');
  const store = Store.load(layout);
  store.putSealed(RECORD);
  let broken = true;
  const trash = {
    discard: async () => {
      if (broken) throw new Error('the disk is on fire');
    },
  } as unknown as Trash;
  const cuts = new Cuts(layout, store, trash, systemClock, 'b');
  await expect(cuts.abort(RECORD.token)).rejects.toThrow('on fire');
  expect(store.sealed()).toEqual([{ token: RECORD.token, group: RECORD.group }]);
  expect(store.promisedBytes).toBe(5n);
  broken = false;
  await cuts.abort(RECORD.token);
  expect(store.sealed()).toEqual([]);
  expect(store.promisedBytes).toBe(0n);
});
