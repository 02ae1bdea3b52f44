import { DriverError } from '../core/errors.ts';
import { KeyedLocks } from '../core/locks.ts';
import type { Logger, Metrics } from '../core/observe.ts';
import type { ControllerDefinition } from '../gen/csi/v1/Controller.ts';
import type { GroupControllerDefinition } from '../gen/csi/v1/GroupController.ts';
import type { IdentityDefinition } from '../gen/csi/v1/Identity.ts';
import type { NodeDefinition } from '../gen/csi/v1/Node.ts';
import type { NodeOperations } from '../mounts/requests.ts';
import { lockCalls, logCalls, measureCalls } from '../rpc/interceptors.ts';
import { loadProto } from '../rpc/proto.ts';
import { type BoundService, bindService } from '../rpc/server.ts';
import type { Handlers, Interceptor } from '../rpc/types.ts';
import type { GroupService } from '../volumes/group-service.ts';
import type { SnapshotService } from '../volumes/snapshot-service.ts';
import type { VolumeService } from '../volumes/volume-service.ts';
import { controllerExpandVolume } from './controller/controller-expand-volume.ts';
import { controllerGetCapabilities } from './controller/controller-get-capabilities.ts';
import { controllerGetVolume } from './controller/controller-get-volume.ts';
import { controllerGetVolumeHealth } from './controller/controller-get-volume-health.ts';
import { controllerListVolumeHealth } from './controller/controller-list-volume-health.ts';
import { createSnapshot } from './controller/create-snapshot.ts';
import { createVolume } from './controller/create-volume.ts';
import { deleteSnapshot } from './controller/delete-snapshot.ts';
import { deleteVolume } from './controller/delete-volume.ts';
import { getCapacity } from './controller/get-capacity.ts';
import { getSnapshot } from './controller/get-snapshot.ts';
import { listSnapshots } from './controller/list-snapshots.ts';
import { listVolumes } from './controller/list-volumes.ts';
import { validateVolumeCapabilities } from './controller/validate-volume-capabilities.ts';
import { createVolumeGroupSnapshot } from './group/create-volume-group-snapshot.ts';
import { deleteVolumeGroupSnapshot } from './group/delete-volume-group-snapshot.ts';
import { getVolumeGroupSnapshot } from './group/get-volume-group-snapshot.ts';
import { groupControllerGetCapabilities } from './group/group-controller-get-capabilities.ts';
import { getPluginCapabilities } from './identity/get-plugin-capabilities.ts';
import { getPluginInfo } from './identity/get-plugin-info.ts';
import { probe } from './identity/probe.ts';
import { lockClaimOf } from './lock-keys.ts';
import { nodeExpandVolume } from './node/node-expand-volume.ts';
import { nodeGetCapabilities } from './node/node-get-capabilities.ts';
import { nodeGetInfo } from './node/node-get-info.ts';
import { nodeGetStorageHealth } from './node/node-get-storage-health.ts';
import { nodeGetVolumeHealth } from './node/node-get-volume-health.ts';
import { nodeGetVolumeStats } from './node/node-get-volume-stats.ts';
import { nodePublishVolume } from './node/node-publish-volume.ts';
import { nodeStageVolume } from './node/node-stage-volume.ts';
import { nodeUnpublishVolume } from './node/node-unpublish-volume.ts';
import { nodeUnstageVolume } from './node/node-unstage-volume.ts';
import type { CsiOptions, NodeInfo } from './options.ts';
import { QUIET_METHODS, SECRET_FIELDS } from './redaction.ts';

export const CSI_PROTO = 'csi-proto/csi.proto';

export interface ControllerParts {
  readonly volumes: VolumeService;
  readonly snapshots: SnapshotService;
  readonly groups: GroupService;
}

export interface NodeParts {
  readonly operations: NodeOperations;
  /** Those of this node, whatever else the driver has. */
  readonly volumes: VolumeService;
  readonly info: NodeInfo;
}

/** What an endpoint serves: the controller's services beside the sidecars, the node's beside the kubelet. */
export interface CsiParts {
  readonly controller?: ControllerParts;
  readonly node?: NodeParts;
}

/** The services of one endpoint. Identity is at every one, and answers the same (CSI specification, GetPluginCapabilities). */
export function csiServices({ controller, node }: CsiParts, options: CsiOptions): readonly BoundService[] {
  const proto = loadProto(CSI_PROTO);
  const bind = <D>(name: string, handlers: Handlers<D>) => bindService(name, proto.service(name), handlers);
  return [
    bind('csi.v1.Identity', identityHandlers(options)),
    ...(controller
      ? [
          bind('csi.v1.Controller', controllerHandlers(controller, options)),
          bind('csi.v1.GroupController', groupHandlers(controller, options)),
        ]
      : []),
    ...(node ? [bind('csi.v1.Node', nodeHandlers(node, options))] : []),
  ];
}

const SERVICES = {
  controller: ['csi.v1.Controller', 'csi.v1.GroupController'],
  node: ['csi.v1.Node'],
} as const satisfies Record<keyof CsiParts, readonly string[]>;

/** What answers while the parts are being made: Identity for itself, and everything else that it is too early. */
export function startingServices(parts: readonly (keyof CsiParts)[], options: CsiOptions): readonly BoundService[] {
  const proto = loadProto(CSI_PROTO);
  const tooEarly = (name: string) => {
    const methods = Object.keys(proto.service(name));
    return bindService(name, proto.service(name), Object.fromEntries(methods.map((method) => [method, refuse])));
  };
  return [
    bindService('csi.v1.Identity', proto.service('csi.v1.Identity'), identityHandlers(options)),
    ...parts.flatMap((part) => SERVICES[part]).map(tooEarly),
  ];
}

async function refuse(): Promise<never> {
  throw new DriverError('unavailable', 'the driver is starting');
}

export interface CsiSurroundings {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The node's, for its own services: shared with its agent. */
  readonly nodeLocks?: KeyedLocks;
}

/** What goes around every call, from the outside in. */
export function csiInterceptors(surroundings: CsiSurroundings): readonly Interceptor[] {
  const { logger, metrics, nodeLocks = new KeyedLocks() } = surroundings;
  const controllerLocks = new KeyedLocks();
  return [
    logCalls({ logger, secretFields: SECRET_FIELDS, quietMethods: QUIET_METHODS }),
    measureCalls(metrics),
    lockCalls((service) => (service === 'csi.v1.Node' ? nodeLocks : controllerLocks), lockClaimOf),
  ];
}

function identityHandlers(options: CsiOptions): Handlers<IdentityDefinition> {
  return {
    GetPluginInfo: getPluginInfo(options),
    GetPluginCapabilities: getPluginCapabilities(options),
    Probe: probe(options),
  };
}

function controllerHandlers(
  { volumes, snapshots }: ControllerParts,
  options: CsiOptions,
): Handlers<ControllerDefinition> {
  return {
    CreateVolume: createVolume(volumes),
    DeleteVolume: deleteVolume(volumes),
    ValidateVolumeCapabilities: validateVolumeCapabilities(volumes),
    ListVolumes: listVolumes(volumes),
    GetCapacity: getCapacity(volumes),
    ControllerGetCapabilities: controllerGetCapabilities(options),
    CreateSnapshot: createSnapshot(snapshots, options),
    DeleteSnapshot: deleteSnapshot(snapshots),
    ListSnapshots: listSnapshots(snapshots, options),
    GetSnapshot: getSnapshot(snapshots, options),
    ControllerExpandVolume: controllerExpandVolume(volumes),
    ControllerGetVolume: controllerGetVolume(volumes),
    ...(options.health && {
      ControllerGetVolumeHealth: controllerGetVolumeHealth(volumes),
      ControllerListVolumeHealth: controllerListVolumeHealth(volumes),
    }),
  };
}

function groupHandlers({ groups }: ControllerParts, options: CsiOptions): Handlers<GroupControllerDefinition> {
  return {
    GroupControllerGetCapabilities: groupControllerGetCapabilities(),
    CreateVolumeGroupSnapshot: createVolumeGroupSnapshot(groups, options),
    GetVolumeGroupSnapshot: getVolumeGroupSnapshot(groups, options),
    DeleteVolumeGroupSnapshot: deleteVolumeGroupSnapshot(groups),
  };
}

function nodeHandlers({ operations, volumes, info }: NodeParts, options: CsiOptions): Handlers<NodeDefinition> {
  return {
    NodeStageVolume: nodeStageVolume(operations),
    NodeUnstageVolume: nodeUnstageVolume(operations),
    NodePublishVolume: nodePublishVolume(operations),
    NodeUnpublishVolume: nodeUnpublishVolume(operations),
    NodeGetVolumeStats: nodeGetVolumeStats(operations),
    NodeExpandVolume: nodeExpandVolume(operations),
    NodeGetCapabilities: nodeGetCapabilities(options),
    NodeGetInfo: nodeGetInfo(info),
    ...(options.health && {
      NodeGetVolumeHealth: nodeGetVolumeHealth(volumes),
      NodeGetStorageHealth: nodeGetStorageHealth(volumes, info),
    }),
  };
}
