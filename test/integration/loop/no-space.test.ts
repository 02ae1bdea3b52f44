/** The pool is full at the very step: what the kernel says then is the caller's RESOURCE_EXHAUSTED, and nothing is left. */
import { afterEach, expect, test } from '@jest/globals';
import type { Backend } from '../../../src/core/backend.ts';
import { MiB } from '../../../src/core/bytes.ts';
import { armFailpoints } from '../../../src/core/failpoint.ts';
import { snapshotId } from '../../../src/core/ids.ts';
import { newToken } from '../../../src/core/round.ts';
import { NEVER, NODE } from '../../support/rig.ts';
import { eventually, Scratch } from '../../support/scratch.ts';
import { create, everythingIn, idOf, openPool } from './playground.ts';

const POINTS = [
  'volume.create.image',
  'volume.create.synced',
  'volume.expand.image',
  'snapshot.cut',
  'snapshot.synced',
];

afterEach(() => armFailpoints(POINTS.map((point) => `${point}=sleep:0`).join(',')));

async function snapshot(backend: Backend): Promise<void> {
  const members = [{ volumeId: idOf('volume'), snapshotId: snapshotId(NODE, 'snapshot') }];
  const plan = { token: newToken(), name: 'snapshot', members, leaseMs: 1000, fenced: true };
  try {
    await backend.prepareCut(plan, NEVER);
    await backend.cutMember(plan.token, idOf('volume'));
    await backend.sealCut(plan.token, []);
    await backend.commitCut(plan.token);
  } catch (error) {
    await backend.abortCut(plan.token);
    throw error;
  }
}

const OPERATIONS: Readonly<Record<string, (backend: Backend) => Promise<unknown>>> = {
  create: (backend) => create(backend, 'new'),
  expand: (backend) => backend.expandVolume(idOf('volume'), 32n * MiB, NEVER),
  snapshot,
};

test.each(POINTS)('%s', async (point) => {
  await using scratch = await Scratch.open();
  const { backend } = await openPool(scratch);
  const volume = await create(backend, 'volume');
  const inPool = () => everythingIn(scratch.path('data', 'pool'));
  const before = await inPool();
  const act = OPERATIONS[point.startsWith('snapshot') ? 'snapshot' : (point.split('.')[1] ?? '')];
  armFailpoints(`${point}=fail:ENOSPC`);
  await expect(act?.(backend)).rejects.toMatchObject({ code: 'resource-exhausted' });
  expect(await backend.listVolumes({})).toEqual({ items: [volume] });
  expect(await backend.listSnapshots({}, {})).toEqual({ items: [] });
  await eventually('nothing is left', async () => (await inPool()).join() === before.join());
  expect((await backend.capacity()).promisedBytes).toBe(volume.capacityBytes);
  armFailpoints(`${point}=sleep:0`);
  await act?.(backend);
});
