import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { DriverError } from '../../../src/core/errors.ts';
import { groupId, snapshotId, volumeId } from '../../../src/core/ids.ts';
import { DRIVER_NAME, TOPOLOGY_KEY } from '../../../src/core/names.ts';
import { BLOCK, MOUNT, startCsiDriver, startingCsiDriver } from '../support/csi-driver.ts';

const V = volumeId('node-a', 'v');
const rpcs = (reply: { readonly capabilities: readonly { readonly rpc?: { readonly type: string } | null }[] }) =>
  reply.capabilities.map(({ rpc }) => rpc?.type);

describe('what is offered', () => {
  test('by default: nothing that tools for CSI 1.12 do not know', async () => {
    await using driver = await startCsiDriver();
    expect(await driver.identity.GetPluginInfo({})).toMatchObject({ name: DRIVER_NAME, vendorVersion: '1.2.3' });
    const { capabilities } = await driver.identity.GetPluginCapabilities({});
    expect(capabilities.map(({ service, volumeExpansion }) => service?.type ?? volumeExpansion?.type)).toEqual([
      'CONTROLLER_SERVICE',
      'VOLUME_ACCESSIBILITY_CONSTRAINTS',
      'GROUP_CONTROLLER_SERVICE',
      'ONLINE',
    ]);
    expect(rpcs(await driver.controller.ControllerGetCapabilities({}))).toHaveLength(10);
    expect(rpcs(await driver.nodes.NodeGetCapabilities({}))).toHaveLength(5);
    expect(rpcs(await driver.groups.GroupControllerGetCapabilities({}))).toEqual([
      'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT',
    ]);
    for (const call of [
      driver.controller.ControllerGetVolumeHealth({ volumeId: V }),
      driver.controller.ControllerListVolumeHealth({}),
      driver.controller.ControllerModifyVolume({ volumeId: V }),
      driver.controller.ControllerPublishVolume({ volumeId: V }),
      driver.controller.ControllerUnpublishVolume({ volumeId: V }),
      driver.nodes.NodeGetVolumeHealth({ volumeId: V }),
      driver.nodes.NodeGetStorageHealth({}),
    ]) {
      await expect(call).rejects.toMatchObject({ code: 'unimplemented' });
    }
  });

  test('with options: health, and the topology of snapshots', async () => {
    await using driver = await startCsiDriver({ health: true, snapshotTopology: true });
    expect(rpcs(await driver.controller.ControllerGetCapabilities({}))).toEqual(
      expect.arrayContaining(['GET_VOLUME_HEALTH', 'LIST_VOLUME_HEALTH']),
    );
    expect(rpcs(await driver.nodes.NodeGetCapabilities({}))).toEqual(
      expect.arrayContaining(['GET_VOLUME_HEALTH', 'GET_STORAGE_HEALTH']),
    );
    await driver.controller.CreateVolume({ name: 'v', volumeCapabilities: [MOUNT] });
    const { snapshot } = await driver.controller.CreateSnapshot({ name: 's', sourceVolumeId: V });
    expect(snapshot?.accessibleTopology).toEqual([{ segments: { [TOPOLOGY_KEY]: 'node-a' } }]);
    const healthy = { volumeHealth: { volumeId: V, healthStatuses: [] } };
    expect(await driver.controller.ControllerGetVolumeHealth({ volumeId: V })).toEqual(healthy);
    expect(await driver.nodes.NodeGetVolumeHealth({ volumeId: V })).toEqual(healthy);
    await expect(driver.nodes.NodeGetVolumeHealth({ volumeId: 'x' })).rejects.toMatchObject({ code: 'not-found' });
    await expect(driver.nodes.NodeGetVolumeHealth({})).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(await driver.controller.ControllerListVolumeHealth({})).toEqual({ entries: [], nextToken: '' });
    await expect(driver.controller.ControllerListVolumeHealth({ startingToken: 'x' })).rejects.toMatchObject({
      code: 'aborted',
    });
    const message = 'it has turned read-only';
    driver.directory.agent('node-a').conditions.set(V, [
      { status: 'degraded', reason: 'FilesystemReadOnly', message },
      { status: 'data-loss', reason: 'ImageTruncated', message: '' },
    ]);
    const volumeHealth = {
      volumeId: V,
      healthStatuses: [
        { status: 'DEGRADED', reason: 'FilesystemReadOnly', message },
        { status: 'DATA_LOSS', reason: 'ImageTruncated', message: '' },
      ],
    };
    expect(await driver.controller.ControllerGetVolumeHealth({ volumeId: V })).toEqual({ volumeHealth });
    expect(await driver.nodes.NodeGetVolumeHealth({ volumeId: V })).toEqual({ volumeHealth });
    expect(await driver.controller.ControllerListVolumeHealth({})).toEqual({ entries: [volumeHealth], nextToken: '' });
    expect(await driver.nodes.NodeGetStorageHealth({})).toEqual({ backendHealth: [] });
    driver.directory.agent('node-a').freeBytes = 0n;
    expect((await driver.nodes.NodeGetStorageHealth({})).backendHealth).toMatchObject([{ status: 'STORAGE_DEGRADED' }]);
    driver.directory.away.add('node-a');
    expect((await driver.nodes.NodeGetStorageHealth({})).backendHealth).toMatchObject([
      { status: 'STORAGE_UNREACHABLE', reason: 'PoolAway' },
    ]);
    driver.directory.away.clear();
    driver.directory.agent('node-a').capacity = async () => {
      throw new DriverError('data-loss', 'the thin pool has failed');
    };
    expect((await driver.nodes.NodeGetStorageHealth({})).backendHealth).toEqual([
      {
        status: 'STORAGE_UNREACHABLE',
        reason: 'PoolFailed',
        message: 'the thin pool has failed',
        volumeCapability: null,
      },
    ]);
  });

  test('while it starts it answers for itself alone', async () => {
    await using driver = await startingCsiDriver();
    expect(await driver.identity.Probe({})).toEqual({ ready: { value: false } });
    expect((await driver.identity.GetPluginInfo({})).name).toBe(DRIVER_NAME);
    const tooEarly = { code: 'unavailable', message: expect.stringContaining('starting') };
    await expect(driver.nodes.NodeGetInfo({})).rejects.toMatchObject(tooEarly);
    await expect(driver.controller.CreateVolume({})).rejects.toMatchObject(tooEarly);
    await expect(driver.controller.ControllerPublishVolume({})).rejects.toMatchObject(tooEarly);
    await expect(driver.groups.GroupControllerGetCapabilities({})).rejects.toMatchObject(tooEarly);
    driver.becomeReady();
    expect(await driver.identity.Probe({})).toEqual({ ready: { value: true } });
    expect(await driver.nodes.NodeGetInfo({})).toEqual({
      nodeId: 'node-a',
      maxVolumesPerNode: '0',
      accessibleTopology: { segments: { [TOPOLOGY_KEY]: 'node-a' } },
    });
  });
});

test('volumes, from creation to deletion', async () => {
  await using driver = await startCsiDriver();
  const { volume } = await driver.controller.CreateVolume({
    name: 'v',
    volumeCapabilities: [MOUNT],
    capacityRange: { requiredBytes: String(9n * GiB), limitBytes: String(10n * GiB) },
  });
  const expected = {
    volumeId: V,
    capacityBytes: String(9n * GiB),
    contentSource: null,
    volumeContext: {},
    accessibleTopology: [{ segments: { [TOPOLOGY_KEY]: 'node-a' } }],
  };
  expect(volume).toEqual(expected);
  expect(await driver.controller.ControllerGetVolume({ volumeId: V })).toEqual({
    volume: expected,
    status: { publishedNodeIds: [] },
  });
  expect(await driver.controller.ListVolumes({})).toEqual({
    entries: [{ volume: expected, status: null }],
    nextToken: '',
  });
  const { snapshot } = await driver.controller.CreateSnapshot({ name: 's', sourceVolumeId: V });
  expect(snapshot).toMatchObject({
    sizeBytes: String(9n * GiB),
    readyToUse: true,
    groupSnapshotId: '',
    accessibleTopology: [],
  });
  const clone = await driver.controller.CreateVolume({
    name: 'c',
    volumeCapabilities: [MOUNT],
    volumeContentSource: { snapshot: { snapshotId: snapshot?.snapshotId ?? '' } },
  });
  expect(clone.volume?.contentSource).toMatchObject({ snapshot: { snapshotId: snapshotId('node-a', 's') } });
  await driver.controller.DeleteVolume({ volumeId: V });
  await driver.controller.DeleteVolume({ volumeId: V });
  expect((await driver.controller.ListSnapshots({})).entries).toHaveLength(1);
});

test('a name is that of a volume to mount or of a block volume', async () => {
  await using driver = await startCsiDriver();
  const ask = (name: string, capability: object) =>
    driver.controller.CreateVolume({ name, volumeCapabilities: [capability] });
  await ask('mounted', MOUNT);
  await ask('raw', BLOCK);
  await expect(ask('mounted', BLOCK)).rejects.toMatchObject({ code: 'already-exists' });
  await expect(ask('raw', MOUNT)).rejects.toMatchObject({ code: 'already-exists' });
  expect((await ask('raw', BLOCK)).volume).toMatchObject({ volumeId: volumeId('node-a', 'raw') });
});

test('expansion: the node has work with a filesystem, none with a raw volume', async () => {
  await using driver = await startCsiDriver();
  const agent = driver.directory.agent('node-a');
  await driver.controller.CreateVolume({ name: 'v', volumeCapabilities: [MOUNT] });
  const expand = (capability: object = {}) =>
    driver.controller.ControllerExpandVolume({
      volumeId: V,
      capacityRange: { requiredBytes: String(2n * GiB) },
      ...capability,
    });
  expect(await expand()).toEqual({ capacityBytes: String(2n * GiB), nodeExpansionRequired: true });
  expect(await expand({ volumeCapability: MOUNT })).toMatchObject({ nodeExpansionRequired: true });
  expect(await expand({ volumeCapability: BLOCK })).toMatchObject({ nodeExpansionRequired: false });
  const volume = agent.volumes.get(V);
  if (volume) agent.volumes.set(V, { ...volume, content: { kind: 'raw' } });
  expect(await expand()).toMatchObject({ nodeExpansionRequired: false });
  const capacityRange = { requiredBytes: String(2n * GiB), limitBytes: String(3n * GiB) };
  await driver.nodes.NodeExpandVolume({ volumeId: V, volumePath: '/x', capacityRange });
  expect(driver.node.requests.at(-1)).toMatchObject({ requiredBytes: 2n * GiB, limitBytes: 3n * GiB });
});

test('ValidateVolumeCapabilities says why it does not confirm', async () => {
  await using driver = await startCsiDriver();
  await driver.controller.CreateVolume({ name: 'v', volumeCapabilities: [MOUNT] });
  const agent = driver.directory.agent('node-a');
  const validate = async (request: object) => driver.controller.ValidateVolumeCapabilities({ volumeId: V, ...request });
  const good = {
    volumeCapabilities: [{ mount: { fsType: 'xfs' }, accessMode: { mode: 'SINGLE_NODE_SINGLE_WRITER' } }],
  };
  expect((await validate(good)).confirmed?.volumeCapabilities).toMatchObject(good.volumeCapabilities);
  const volume = agent.volumes.get(V);
  if (volume) agent.volumes.set(V, { ...volume, content: { kind: 'filesystem', fsType: 'ext4', identity: 'own' } });
  for (const [request, reason] of [
    [good, 'the volume holds ext4, not xfs'],
    [
      { volumeCapabilities: [{ ...MOUNT, accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' } }] },
      'MULTI_NODE_MULTI_WRITER is not',
    ],
    [{ volumeCapabilities: [MOUNT, BLOCK] }, 'block and mount exclude each other'],
    [{ volumeCapabilities: [{ ...MOUNT, mount: { fsType: 'ntfs' } }] }, 'there are ext4, xfs, btrfs'],
    [{ volumeCapabilities: [MOUNT], parameters: { typo: '1' } }, 'parameters: "typo" is not known'],
    [{ volumeCapabilities: [MOUNT], mutableParameters: { iops: '1' } }, 'mutable_parameters: "iops"'],
  ] as const) {
    expect(await validate(request)).toEqual({ confirmed: null, message: expect.stringContaining(reason) });
  }
  await expect(validate({ volumeId: 'x', volumeCapabilities: [] })).rejects.toMatchObject({ code: 'invalid-argument' });
  await expect(validate({ volumeId: 'x', ...good })).rejects.toMatchObject({ code: 'not-found' });
});

test('GetCapacity: none for what can not be had', async () => {
  await using driver = await startCsiDriver();
  const node = (name: string) => ({ accessibleTopology: { segments: { [TOPOLOGY_KEY]: name } } });
  const all = { availableCapacity: String(100n * GiB), maximumVolumeSize: { value: String(100n * GiB) } };
  expect(await driver.controller.GetCapacity({})).toMatchObject(all);
  expect(await driver.controller.GetCapacity({ ...node('node-a'), volumeCapabilities: [BLOCK] })).toMatchObject(all);
  expect(await driver.controller.GetCapacity(node('node-z'))).toMatchObject({ availableCapacity: '0' });
  const xfs = { ...MOUNT, mount: { fsType: 'xfs' } };
  expect(await driver.controller.GetCapacity({ volumeCapabilities: [xfs] })).toMatchObject({
    ...all,
    minimumVolumeSize: { value: String(300n * MiB) },
  });
  const shared = { ...MOUNT, accessMode: { mode: 'MULTI_NODE_MULTI_WRITER' } } as const;
  expect(await driver.controller.GetCapacity({ volumeCapabilities: [shared] })).toMatchObject({
    availableCapacity: '0',
  });
});

test('group snapshots, and their members among the others', async () => {
  await using driver = await startCsiDriver();
  for (const name of ['v', 'w']) await driver.controller.CreateVolume({ name, volumeCapabilities: [MOUNT] });
  const sourceVolumeIds = [V, volumeId('node-a', 'w')];
  const made = await driver.groups.CreateVolumeGroupSnapshot({ name: 'g', sourceVolumeIds });
  const group = made.groupSnapshot;
  expect(group).toMatchObject({ groupSnapshotId: groupId('node-a', 'g'), readyToUse: true });
  expect(group?.creationTime?.seconds).toBe('1700000000');
  const snapshotIds = group?.snapshots.map((snapshot) => snapshot.snapshotId) ?? [];
  expect(snapshotIds).toHaveLength(2);
  const { entries } = await driver.controller.ListSnapshots({});
  expect(entries.map(({ snapshot }) => snapshot?.groupSnapshotId)).toEqual([
    groupId('node-a', 'g'),
    groupId('node-a', 'g'),
  ]);
  await expect(driver.controller.DeleteSnapshot({ snapshotId: snapshotIds[0] ?? '' })).rejects.toMatchObject({
    code: 'invalid-argument',
  });
  expect(await driver.groups.GetVolumeGroupSnapshot({ groupSnapshotId: groupId('node-a', 'g'), snapshotIds })).toEqual(
    made,
  );
  await driver.groups.DeleteVolumeGroupSnapshot({ groupSnapshotId: groupId('node-a', 'g'), snapshotIds });
  expect(await driver.controller.ListSnapshots({})).toMatchObject({ entries: [] });
});
