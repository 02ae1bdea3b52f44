/** A commit that the disk fails in the middle of. */
import { afterEach, expect, test } from '@jest/globals';
import { armFailpoints } from '../../../src/core/failpoint.ts';
import { snapshotId } from '../../../src/core/ids.ts';
import { newToken } from '../../../src/core/round.ts';
import { NEVER, NODE } from '../../support/rig.ts';
import { Scratch } from '../../support/scratch.ts';
import { create, openPool } from './playground.ts';

afterEach(() => armFailpoints('file.renamed=sleep:0'));

test('one whose name could not be put on disk is done by the next call', async () => {
  await using scratch = await Scratch.open();
  const { backend } = await openPool(scratch);
  const { id: volumeId } = await create(backend, 'volume');
  const members = [{ volumeId, snapshotId: snapshotId(NODE, 'snapshot') }];
  const plan = { token: newToken(), name: 'snapshot', members, leaseMs: 1000, fenced: true };
  await backend.prepareCut(plan, NEVER);
  await backend.cutMember(plan.token, volumeId);
  await backend.sealCut(plan.token, []);

  armFailpoints('file.renamed=fail:EIO');
  await expect(backend.commitCut(plan.token)).rejects.toMatchObject({ code: 'EIO' });
  expect(await backend.isCommitted(plan.token)).toBe(false);
  armFailpoints('file.renamed=sleep:0');
  const record = await backend.commitCut(plan.token);
  expect(record.snapshots).toMatchObject([{ sourceVolumeId: volumeId }]);
  expect(await backend.isCommitted(plan.token)).toBe(true);
  const { backend: later } = await openPool(scratch);
  expect(await later.commitCut(plan.token)).toEqual(record);
});
