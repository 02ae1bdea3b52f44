import type { Topology__Output } from '../gen/csi/v1/Topology.ts';
import { CALL_TIMEOUT_MS, type CsiClient } from './csi-client.ts';

/** What the driver at the endpoint says that it can do. */
export interface DriverFacts {
  readonly name: string;
  readonly version: string;
  readonly nodeId: string;
  /** Where volumes must be, to be reached from this node. */
  readonly topology?: Topology__Output;
  /** ControllerPublishVolume comes before the node's calls. */
  readonly attaches: boolean;
  /** NodeStageVolume comes before NodePublishVolume. */
  readonly stages: boolean;
  /** Takes group snapshots; else they are taken one by one. */
  readonly groups: boolean;
}

export async function describeDriver(client: CsiClient, signal: AbortSignal): Promise<DriverFacts> {
  const options = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const [info, plugin, controller, node, nodeInfo] = await Promise.all([
    client.identity.GetPluginInfo({}, options),
    client.identity.GetPluginCapabilities({}, options),
    client.controller.ControllerGetCapabilities({}, options),
    client.node.NodeGetCapabilities({}, options),
    client.node.NodeGetInfo({}, options),
  ]);
  const services = new Set(plugin.capabilities.map(({ service }) => service?.type));
  const controllerCan = new Set(controller.capabilities.map(({ rpc }) => rpc?.type));
  const nodeCan = new Set(node.capabilities.map(({ rpc }) => rpc?.type));
  const constrained = services.has('VOLUME_ACCESSIBILITY_CONSTRAINTS');
  return {
    name: info.name,
    version: info.vendorVersion,
    nodeId: nodeInfo.nodeId,
    ...(constrained && nodeInfo.accessibleTopology && { topology: nodeInfo.accessibleTopology }),
    attaches: controllerCan.has('PUBLISH_UNPUBLISH_VOLUME'),
    stages: nodeCan.has('STAGE_UNSTAGE_VOLUME'),
    groups: services.has('GROUP_CONTROLLER_SERVICE') && (await takesGroups(client, options)),
  };
}

async function takesGroups(
  client: CsiClient,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<boolean> {
  const { capabilities } = await client.group.GroupControllerGetCapabilities({}, options);
  return capabilities.some(({ rpc }) => rpc?.type === 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT');
}
