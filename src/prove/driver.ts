import type { Topology__Output } from '../gen/csi/v1/Topology.ts';
import { CALL_TIMEOUT_MS, type CsiClient } from './csi-client.ts';

/** What the driver at the endpoint says that it can do. */
export interface DriverFacts {
  readonly name: string;
  readonly version: string;
  /** Volumes can't be reached from everywhere. */
  readonly constrained: boolean;
  /** ControllerPublishVolume comes before the node's calls. */
  readonly attaches: boolean;
  /** Takes group snapshots; else they are taken one by one. */
  readonly groups: boolean;
}

/** What its service on a node says. */
export interface NodeFacts {
  readonly nodeId: string;
  /** Where volumes must be, to be reached from this node. */
  readonly topology?: Topology__Output;
  /** NodeStageVolume comes before NodePublishVolume. */
  readonly stages: boolean;
}

export async function describeDriver(client: CsiClient, signal: AbortSignal): Promise<DriverFacts> {
  const options = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const [info, plugin, controller] = await Promise.all([
    client.identity.GetPluginInfo({}, options),
    client.identity.GetPluginCapabilities({}, options),
    client.controller.ControllerGetCapabilities({}, options),
  ]);
  const services = new Set(plugin.capabilities.map(({ service }) => service?.type));
  const controllerCan = new Set(controller.capabilities.map(({ rpc }) => rpc?.type));
  return {
    name: info.name,
    version: info.vendorVersion,
    constrained: services.has('VOLUME_ACCESSIBILITY_CONSTRAINTS'),
    attaches: controllerCan.has('PUBLISH_UNPUBLISH_VOLUME'),
    groups: services.has('GROUP_CONTROLLER_SERVICE') && (await takesGroups(client, options)),
  };
}

export async function describeNode(
  client: Pick<CsiClient, 'node'>,
  { constrained }: DriverFacts,
  signal: AbortSignal,
): Promise<NodeFacts> {
  const options = { signal, timeoutMs: CALL_TIMEOUT_MS };
  const [{ capabilities }, { nodeId, accessibleTopology }] = await Promise.all([
    client.node.NodeGetCapabilities({}, options),
    client.node.NodeGetInfo({}, options),
  ]);
  return {
    nodeId,
    ...(constrained && accessibleTopology && { topology: accessibleTopology }),
    stages: capabilities.some(({ rpc }) => rpc?.type === 'STAGE_UNSTAGE_VOLUME'),
  };
}

async function takesGroups(
  client: CsiClient,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<boolean> {
  const { capabilities } = await client.group.GroupControllerGetCapabilities({}, options);
  return capabilities.some(({ rpc }) => rpc?.type === 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT');
}
