import { groupId, isGroupId, parseId, snapshotId, volumeId } from '../core/ids.ts';
import type { ControllerDefinition } from '../gen/csi/v1/Controller.ts';
import type { GroupControllerDefinition } from '../gen/csi/v1/GroupController.ts';
import type { IdentityDefinition } from '../gen/csi/v1/Identity.ts';
import type { NodeDefinition } from '../gen/csi/v1/Node.ts';
import type { VolumeContentSource__Output } from '../gen/csi/v1/VolumeContentSource.ts';
import type { LockKeys } from '../rpc/interceptors.ts';
import type { LockTable } from '../rpc/types.ts';

/**
 * The lock keys of every RPC: what it changes, and what must stay as it is meanwhile (the source of a copy, the members
 * of a group). A call that finds one of its keys held answers ABORTED at once (CSI specification, "Concurrency").
 *
 * A key is an id without its node. That part is derived from the name alone, so a CreateVolume, which has a name and no
 * node yet, conflicts with the DeleteVolume of the id it is about to make. What is no id of ours has no key: there is
 * nothing to hold.
 */
const identityLocks = {
  GetPluginInfo: 'none',
  GetPluginCapabilities: 'none',
  Probe: 'none',
} as const satisfies LockTable<IdentityDefinition>;

const controllerLocks = {
  CreateVolume: ({ name, volumeContentSource }) => [...volumeNamed(name), ...sourceOf(volumeContentSource)],
  DeleteVolume: ({ volumeId: id }) => keysOf(id),
  ControllerExpandVolume: ({ volumeId: id }) => keysOf(id),
  CreateSnapshot: ({ name, sourceVolumeId }) => [...snapshotNamed(name), ...keysOf(sourceVolumeId)],
  DeleteSnapshot: ({ snapshotId: id }) => keysOf(id),
  // Reads see what is committed, whole.
  ControllerGetVolume: 'none',
  ControllerGetVolumeHealth: 'none',
  ControllerListVolumeHealth: 'none',
  GetSnapshot: 'none',
  ListSnapshots: 'none',
  ListVolumes: 'none',
  ValidateVolumeCapabilities: 'none',
  GetCapacity: 'none',
  ControllerGetCapabilities: 'none',
  // Not offered.
  ControllerModifyVolume: 'none',
  ControllerPublishVolume: 'none',
  ControllerUnpublishVolume: 'none',
} as const satisfies LockTable<ControllerDefinition>;

const groupLocks = {
  GroupControllerGetCapabilities: 'none',
  CreateVolumeGroupSnapshot: ({ name, sourceVolumeIds }) => [...groupNamed(name), ...keysOf(...sourceVolumeIds)],
  // A get may have to finish a group that a crash left decided and not committed everywhere.
  GetVolumeGroupSnapshot: ({ groupSnapshotId: id }) => groupKeyOf(id),
  DeleteVolumeGroupSnapshot: ({ groupSnapshotId: id, snapshotIds }) => [...groupKeyOf(id), ...keysOf(...snapshotIds)],
} as const satisfies LockTable<GroupControllerDefinition>;

const nodeLocks = {
  NodeStageVolume: ({ volumeId: id }) => keysOf(id),
  NodeUnstageVolume: ({ volumeId: id }) => keysOf(id),
  NodePublishVolume: ({ volumeId: id }) => keysOf(id),
  NodeUnpublishVolume: ({ volumeId: id }) => keysOf(id),
  NodeExpandVolume: ({ volumeId: id }) => keysOf(id),
  // Asked for by the kubelet all the time: they must not stand in the way of anything.
  NodeGetVolumeStats: 'none',
  NodeGetVolumeHealth: 'none',
  NodeGetStorageHealth: 'none',
  NodeGetCapabilities: 'none',
  NodeGetInfo: 'none',
} as const satisfies LockTable<NodeDefinition>;

type Row = 'none' | ((request: unknown) => readonly string[]);

// The rows were checked against their requests above; a request arrives with its method's name.
const TABLES = new Map<string, ReadonlyMap<string, Row>>([
  ['csi.v1.Identity', new Map(Object.entries(identityLocks) as [string, Row][])],
  ['csi.v1.Controller', new Map(Object.entries(controllerLocks) as [string, Row][])],
  ['csi.v1.GroupController', new Map(Object.entries(groupLocks) as [string, Row][])],
  ['csi.v1.Node', new Map(Object.entries(nodeLocks) as [string, Row][])],
]);

export const lockKeysOf: LockKeys = (service, method, request) => {
  const row = TABLES.get(service)?.get(method);
  return row === 'none' ? [] : row?.(request);
};

/** Any node will do: it is left out of the key. */
const ANY_NODE = 'any';

function volumeNamed(name: string): readonly string[] {
  return name === '' ? [] : keysOf(volumeId(ANY_NODE, name));
}

function snapshotNamed(name: string): readonly string[] {
  return name === '' ? [] : keysOf(snapshotId(ANY_NODE, name));
}

function groupNamed(name: string): readonly string[] {
  return name === '' ? [] : [groupId(name)];
}

function groupKeyOf(id: string): readonly string[] {
  return isGroupId(id) ? [id] : [];
}

function sourceOf(source: VolumeContentSource__Output | null): readonly string[] {
  return keysOf(source?.snapshot?.snapshotId ?? '', source?.volume?.volumeId ?? '');
}

function keysOf(...ids: readonly string[]): readonly string[] {
  return ids.flatMap((id) => parseId(id)?.local ?? []);
}
