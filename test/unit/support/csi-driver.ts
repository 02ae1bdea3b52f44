import { join } from 'node:path';
import type { CsiOptions, NodeInfo } from '../../../src/csi/options.ts';
import { CSI_PROTO, csiInterceptors, csiServices, startingServices } from '../../../src/csi/services.ts';
import { RoundCoordinator } from '../../../src/fence/coordinator.ts';
import type { ControllerDefinition } from '../../../src/gen/csi/v1/Controller.ts';
import type { GroupControllerDefinition } from '../../../src/gen/csi/v1/GroupController.ts';
import type { IdentityDefinition } from '../../../src/gen/csi/v1/Identity.ts';
import type { NodeDefinition } from '../../../src/gen/csi/v1/Node.ts';
import { connect, type RpcChannel, type RpcClient } from '../../../src/rpc/client.ts';
import { loadProto } from '../../../src/rpc/proto.ts';
import { serve } from '../../../src/rpc/server.ts';
import { GroupService } from '../../../src/volumes/group-service.ts';
import { SnapshotService } from '../../../src/volumes/snapshot-service.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { FakeDirectory } from './fake-agent.ts';
import { UNOBSERVED } from './fake-agents.ts';
import { FakeNode } from './fake-node.ts';
import { MemoryLogger, MemoryMetrics, temporaryFolder } from './rpc.ts';

export interface CsiDriver extends AsyncDisposable {
  readonly directory: FakeDirectory;
  readonly node: FakeNode;
  readonly logger: MemoryLogger;
  readonly metrics: MemoryMetrics;
  readonly channel: RpcChannel;
  readonly identity: RpcClient<IdentityDefinition>;
  readonly controller: RpcClient<ControllerDefinition>;
  readonly groups: RpcClient<GroupControllerDefinition>;
  readonly nodes: RpcClient<NodeDefinition>;
  /** Ends its start. */
  becomeReady(): void;
}

/** The whole driver on a real socket, over a node in memory; while it starts, until it is told. */
export async function startingCsiDriver(options: Partial<CsiOptions & NodeInfo> = {}): Promise<CsiDriver> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder());
  const directory = new FakeDirectory('node-a');
  const node = new FakeNode(directory.agent('node-a'));
  const [logger, metrics] = [new MemoryLogger(), new MemoryMetrics()];
  let isReady = false;
  const ready = () => isReady;
  const rounds = new RoundCoordinator(directory, 1000, UNOBSERVED);
  const path = join(folder.path, 'csi.sock');
  const about = { node: 'node-a', version: '1.2.3', health: false, snapshotTopology: false, ready, ...options };
  const interceptors = csiInterceptors({ logger, metrics });
  const server = resources.use(
    await serve({
      address: { kind: 'unix', path },
      services: startingServices(['controller', 'node'], about),
      interceptors,
      drainMs: 100,
    }),
  );
  const becomeReady = () => {
    isReady = true;
    const volumes = new VolumeService(directory);
    const snapshots = new SnapshotService(directory, rounds);
    const groups = new GroupService(directory, rounds);
    const parts = {
      controller: { volumes, snapshots, groups },
      node: { operations: node, volumes, info: about },
    };
    server.replace(csiServices(parts, about), interceptors);
  };
  const channel = resources.use(connect(`unix://${path}`));
  const proto = loadProto(CSI_PROTO);
  const owned = resources.move();
  return {
    becomeReady,
    directory,
    node,
    logger,
    metrics,
    channel,
    identity: channel.client<IdentityDefinition>(proto.service('csi.v1.Identity')),
    controller: channel.client<ControllerDefinition>(proto.service('csi.v1.Controller')),
    groups: channel.client<GroupControllerDefinition>(proto.service('csi.v1.GroupController')),
    nodes: channel.client<NodeDefinition>(proto.service('csi.v1.Node')),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The same, ready. */
export async function startCsiDriver(options: Partial<CsiOptions> = {}): Promise<CsiDriver> {
  const driver = await startingCsiDriver(options);
  driver.becomeReady();
  return driver;
}

export const MOUNT = { mount: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } } as const;
export const BLOCK = { block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } } as const;
