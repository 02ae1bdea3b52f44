/** The driver's services as a test calls them. */
import type { DriverError } from '../../src/core/errors.ts';
import { CSI_PROTO } from '../../src/csi/services.ts';
import type { ControllerDefinition } from '../../src/gen/csi/v1/Controller.ts';
import type { GroupControllerDefinition } from '../../src/gen/csi/v1/GroupController.ts';
import type { IdentityDefinition } from '../../src/gen/csi/v1/Identity.ts';
import type { NodeDefinition } from '../../src/gen/csi/v1/Node.ts';
import { waitUntilReady } from '../../src/prove/csi-client.ts';
import { type CallOptions, connect, type RpcClient } from '../../src/rpc/client.ts';
import { loadProto } from '../../src/rpc/proto.ts';

const proto = loadProto(CSI_PROTO);

export interface Csi extends Disposable {
  readonly identity: RpcClient<IdentityDefinition>;
  readonly controller: RpcClient<ControllerDefinition>;
  readonly group: RpcClient<GroupControllerDefinition>;
  readonly node: RpcClient<NodeDefinition>;
  /** Resolves when the driver says that it is ready. @throws DriverError unavailable */
  ready(timeoutMs: number): Promise<void>;
}

export function connectTo(endpoint: string): Csi {
  const channel = connect(endpoint);
  return {
    identity: channel.client<IdentityDefinition>(proto.service('csi.v1.Identity')),
    controller: channel.client<ControllerDefinition>(proto.service('csi.v1.Controller')),
    group: channel.client<GroupControllerDefinition>(proto.service('csi.v1.GroupController')),
    node: channel.client<NodeDefinition>(proto.service('csi.v1.Node')),
    ready: (timeoutMs) => waitUntilReady(channel, timeoutMs),
    [Symbol.dispose]: () => channel.close(),
  };
}

/** A client whose calls all end as `options` say. */
export function calling(csi: Csi, options: () => CallOptions): Csi {
  return {
    ...csi,
    identity: each(csi.identity, options),
    controller: each(csi.controller, options),
    group: each(csi.group, options),
    node: each(csi.node, options),
  };
}

function each<T extends object>(client: T, options: () => CallOptions): T {
  const methods = Object.entries(client as Record<string, (request: unknown, given?: CallOptions) => unknown>);
  return Object.fromEntries(methods.map(([name, call]) => [name, (request: unknown) => call(request, options())])) as T;
}

export type FsName = 'ext4' | 'xfs' | 'btrfs';
type Mode = 'SINGLE_NODE_WRITER' | 'SINGLE_NODE_SINGLE_WRITER' | 'SINGLE_NODE_MULTI_WRITER';

export function mountCapability(fsType: FsName | '' = '', mode: Mode = 'SINGLE_NODE_WRITER') {
  return { mount: { fsType }, accessMode: { mode } } as const;
}

export const BLOCK = { block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } } as const;

export type Capability = ReturnType<typeof mountCapability> | typeof BLOCK;

/** `aborted` where a call is expected to fail; the answer where it did not. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'ok',
    (error: DriverError) => error.code,
  );
}
