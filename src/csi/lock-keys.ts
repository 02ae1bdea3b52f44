import { groupId, lockKeysOf, snapshotId, volumeId } from '../core/ids.ts';
import type { LockClaim } from '../core/locks.ts';
import type { ControllerDefinition } from '../gen/csi/v1/Controller.ts';
import type { GroupControllerDefinition } from '../gen/csi/v1/GroupController.ts';
import type { IdentityDefinition } from '../gen/csi/v1/Identity.ts';
import type { NodeDefinition } from '../gen/csi/v1/Node.ts';
import type { LockClaims } from '../rpc/interceptors.ts';
import type { LockTable } from '../rpc/types.ts';

/**
 * The lock keys of every RPC: what it changes (exclusive), and what must stay as it is meanwhile, such as the source of a
 * copy (shared: many volumes may be restored from one snapshot at a time). A call that finds one of its keys held answers ABORTED at once (CSI specification, "Concurrency").
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
  CreateVolume: ({ name, volumeContentSource }) => ({
    // A volume that is copied is frozen meanwhile, which only one call can do; a snapshot just has to stay.
    exclusive: [...volumeNamed(name), ...lockKeysOf(volumeContentSource?.volume?.volumeId ?? '')],
    shared: lockKeysOf(volumeContentSource?.snapshot?.snapshotId ?? ''),
  }),
  DeleteVolume: ({ volumeId: id }) => exclusive(lockKeysOf(id)),
  ControllerExpandVolume: ({ volumeId: id }) => exclusive(lockKeysOf(id)),
  CreateSnapshot: ({ name, sourceVolumeId }) => exclusive([...snapshotNamed(name), ...lockKeysOf(sourceVolumeId)]),
  DeleteSnapshot: ({ snapshotId: id }) => exclusive(lockKeysOf(id)),
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
  CreateVolumeGroupSnapshot: ({ name, sourceVolumeIds }) =>
    exclusive([...groupNamed(name), ...lockKeysOf(...sourceVolumeIds)]),
  // A get may have to finish a group that a crash left decided and not committed everywhere.
  GetVolumeGroupSnapshot: ({ groupSnapshotId: id }) => exclusive(lockKeysOf(id)),
  DeleteVolumeGroupSnapshot: ({ groupSnapshotId: id, snapshotIds }) => exclusive(lockKeysOf(id, ...snapshotIds)),
} as const satisfies LockTable<GroupControllerDefinition>;

const nodeLocks = {
  NodeStageVolume: ({ volumeId: id }) => exclusive(lockKeysOf(id)),
  NodeUnstageVolume: ({ volumeId: id }) => exclusive(lockKeysOf(id)),
  NodePublishVolume: ({ volumeId: id }) => exclusive(lockKeysOf(id)),
  NodeUnpublishVolume: ({ volumeId: id }) => exclusive(lockKeysOf(id)),
  NodeExpandVolume: ({ volumeId: id }) => exclusive(lockKeysOf(id)),
  // Asked for by the kubelet all the time: they must not stand in the way of anything.
  NodeGetVolumeStats: 'none',
  NodeGetVolumeHealth: 'none',
  NodeGetStorageHealth: 'none',
  NodeGetCapabilities: 'none',
  NodeGetInfo: 'none',
} as const satisfies LockTable<NodeDefinition>;

type Row = 'none' | ((request: unknown) => LockClaim);

// The rows were checked against their requests above; a request arrives with its method's name.
const TABLES = new Map<string, ReadonlyMap<string, Row>>([
  ['csi.v1.Identity', new Map(Object.entries(identityLocks) as [string, Row][])],
  ['csi.v1.Controller', new Map(Object.entries(controllerLocks) as [string, Row][])],
  ['csi.v1.GroupController', new Map(Object.entries(groupLocks) as [string, Row][])],
  ['csi.v1.Node', new Map(Object.entries(nodeLocks) as [string, Row][])],
]);

export const lockClaimOf: LockClaims = (service, method, request) => {
  const row = TABLES.get(service)?.get(method);
  return row === 'none' ? NOTHING : row?.(request);
};

const NOTHING: LockClaim = { exclusive: [] };

function exclusive(keys: readonly string[]): LockClaim {
  return { exclusive: keys };
}

/** Any node will do: it is left out of the key. */
const ANY_NODE = 'any';

function volumeNamed(name: string): readonly string[] {
  return name === '' ? [] : lockKeysOf(volumeId(ANY_NODE, name));
}

function snapshotNamed(name: string): readonly string[] {
  return name === '' ? [] : lockKeysOf(snapshotId(ANY_NODE, name));
}

function groupNamed(name: string): readonly string[] {
  return name === '' ? [] : lockKeysOf(groupId(ANY_NODE, name));
}
