import { expect, test } from '@jest/globals';
import { groupId, memberSnapshotId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { KeyedLocks, type LockClaim } from '../../../src/core/locks.ts';
import { lockClaimOf } from '../../../src/csi/lock-keys.ts';
import { MOUNT, startCsiDriver } from '../support/csi-driver.ts';

const V1 = volumeId('node-a', 'v1');
const V2 = volumeId('node-a', 'v2');
const S1 = snapshotId('node-a', 's1');
const G = groupId('any', 'g');
const M1 = memberSnapshotId('node-a', 'g', V1);

const calls = {
  createV1: ['Controller', 'CreateVolume', { name: 'v1', volumeContentSource: null }],
  createV2: ['Controller', 'CreateVolume', { name: 'v2', volumeContentSource: null }],
  cloneOfV1: ['Controller', 'CreateVolume', { name: 'v2', volumeContentSource: { volume: { volumeId: V1 } } }],
  restoreOfS1: ['Controller', 'CreateVolume', { name: 'v2', volumeContentSource: { snapshot: { snapshotId: S1 } } }],
  otherRestoreOfS1: [
    'Controller',
    'CreateVolume',
    { name: 'v1', volumeContentSource: { snapshot: { snapshotId: S1 } } },
  ],
  restoreOfM1: ['Controller', 'CreateVolume', { name: 'v2', volumeContentSource: { snapshot: { snapshotId: M1 } } }],
  deleteV1: ['Controller', 'DeleteVolume', { volumeId: V1 }],
  deleteV1OnB: ['Controller', 'DeleteVolume', { volumeId: volumeId('node-b', 'v1') }],
  expandV1: ['Controller', 'ControllerExpandVolume', { volumeId: V1 }],
  createS1: ['Controller', 'CreateSnapshot', { name: 's1', sourceVolumeId: V1 }],
  createS1OfV2: ['Controller', 'CreateSnapshot', { name: 's1', sourceVolumeId: V2 }],
  deleteS1: ['Controller', 'DeleteSnapshot', { snapshotId: S1 }],
  createG: ['GroupController', 'CreateVolumeGroupSnapshot', { name: 'g', sourceVolumeIds: [V1, V2] }],
  getG: ['GroupController', 'GetVolumeGroupSnapshot', { groupSnapshotId: G, snapshotIds: [M1] }],
  deleteG: ['GroupController', 'DeleteVolumeGroupSnapshot', { groupSnapshotId: G, snapshotIds: [M1] }],
  stageV1: ['Node', 'NodeStageVolume', { volumeId: V1 }],
  unstageV1: ['Node', 'NodeUnstageVolume', { volumeId: V1 }],
  publishV1: ['Node', 'NodePublishVolume', { volumeId: V1 }],
  unpublishV1: ['Node', 'NodeUnpublishVolume', { volumeId: V1 }],
  nodeExpandV1: ['Node', 'NodeExpandVolume', { volumeId: V1 }],
  statsV1: ['Node', 'NodeGetVolumeStats', { volumeId: V1 }],
  getV1: ['Controller', 'ControllerGetVolume', { volumeId: V1 }],
  list: ['Controller', 'ListVolumes', {}],
} as const satisfies Record<string, readonly [string, string, object]>;

type Call = keyof typeof calls;

function claim(call: Call): LockClaim {
  const [service, method, request] = calls[call];
  return lockClaimOf(`csi.v1.${service}`, method, request) ?? { exclusive: ['no row'] };
}

function runTogether(first: Call, second: Call): void {
  const locks = new KeyedLocks();
  using _first = locks.acquire(first, claim(first));
  using _second = locks.acquire(second, claim(second));
}

const conflicts: readonly (readonly [Call, Call])[] = [
  ['createV1', 'createV1'],
  ['createV1', 'deleteV1'],
  ['createV1', 'deleteV1OnB'],
  ['cloneOfV1', 'deleteV1'],
  ['cloneOfV1', 'expandV1'],
  ['restoreOfS1', 'deleteS1'],
  ['restoreOfM1', 'deleteG'],
  ['createS1', 'deleteV1'],
  ['createS1', 'createS1OfV2'],
  ['createS1', 'deleteS1'],
  ['createG', 'deleteV1'],
  ['createG', 'deleteG'],
  ['createG', 'getG'],
  ['createG', 'createS1'],
  ['createG', 'unstageV1'],
  ['createG', 'expandV1'],
  ['stageV1', 'unstageV1'],
  ['publishV1', 'unpublishV1'],
  ['nodeExpandV1', 'expandV1'],
  ['deleteV1', 'stageV1'],
];

test.each(conflicts)('%s and %s exclude each other', (a, b) => {
  expect(() => runTogether(a, b)).toThrow('still working');
  expect(() => runTogether(b, a)).toThrow('still working');
});

test.each<[Call, Call]>([
  ['createV1', 'createV2'],
  ['restoreOfS1', 'deleteV1'],
  ['restoreOfS1', 'otherRestoreOfS1'],
  ['deleteS1', 'createG'],
])('%s and %s do not', (a, b) => {
  runTogether(a, b);
  runTogether(b, a);
});

test.each<Call>(['statsV1', 'getV1', 'list'])('%s holds nothing', (call) => {
  expect(claim(call)).toEqual({ exclusive: [] });
});

test('what is no id of ours is nothing to hold', () => {
  expect(lockClaimOf('csi.v1.Controller', 'DeleteVolume', { volumeId: 'x'.repeat(1e6) })).toEqual({ exclusive: [] });
  expect(
    lockClaimOf('csi.v1.GroupController', 'DeleteVolumeGroupSnapshot', { groupSnapshotId: 'x', snapshotIds: [] }),
  ).toEqual({ exclusive: [] });
  expect(lockClaimOf('csi.v1.Controller', 'NoSuchCall', {})).toBeUndefined();
});

test('the second of two calls for a volume is aborted at once; stats go on', async () => {
  await using driver = await startCsiDriver();
  await driver.controller.CreateVolume({ name: 'v1', volumeCapabilities: [MOUNT] });
  const entered = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  driver.node.before = async () => {
    entered.resolve();
    await leave.promise;
  };
  const stage = driver.nodes.NodeStageVolume({ volumeId: V1, stagingTargetPath: '/stage', volumeCapability: MOUNT });
  await entered.promise;
  driver.node.before = async () => undefined;
  const aborted = {
    code: 'aborted',
    message: expect.stringMatching(/^NodeStageVolume \(request \w+\) is still working on vol-/),
  };
  await expect(driver.nodes.NodeUnstageVolume({ volumeId: V1, stagingTargetPath: '/stage' })).rejects.toMatchObject(
    aborted,
  );
  await driver.nodes.NodeGetVolumeStats({ volumeId: V1, volumePath: '/stage' });
  leave.resolve();
  await stage;
  await driver.controller.DeleteVolume({ volumeId: V1 });
});
