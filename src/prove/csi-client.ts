import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../core/errors.ts';
import type { ControllerDefinition } from '../gen/csi/v1/Controller.ts';
import type { GroupControllerDefinition } from '../gen/csi/v1/GroupController.ts';
import type { IdentityDefinition } from '../gen/csi/v1/Identity.ts';
import type { NodeDefinition } from '../gen/csi/v1/Node.ts';
import { connect, type RpcChannel, type RpcClient } from '../rpc/client.ts';
import { loadProto } from '../rpc/proto.ts';

/** The services of a CSI endpoint, whoever made it. */
export interface CsiClient extends Disposable {
  readonly identity: RpcClient<IdentityDefinition>;
  readonly controller: RpcClient<ControllerDefinition>;
  readonly group: RpcClient<GroupControllerDefinition>;
  readonly node: RpcClient<NodeDefinition>;
}

const READY_MS = 10_000;
const PROBE_PAUSE_MS = 10;
/** As long as the sidecars wait for an answer. */
export const CALL_TIMEOUT_MS = 60_000;
const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 100;

/** @throws DriverError unavailable when nobody answers, invalid-argument when it is no endpoint */
export async function connectCsi(endpoint: string): Promise<CsiClient> {
  const proto = loadProto('csi-proto/csi.proto');
  const channel = connect(endpoint);
  try {
    await waitUntilReady(channel, READY_MS);
  } catch (error) {
    channel.close();
    throw error;
  }
  return {
    identity: channel.client<IdentityDefinition>(proto.service('csi.v1.Identity')),
    controller: channel.client<ControllerDefinition>(proto.service('csi.v1.Controller')),
    group: channel.client<GroupControllerDefinition>(proto.service('csi.v1.GroupController')),
    node: channel.client<NodeDefinition>(proto.service('csi.v1.Node')),
    [Symbol.dispose]: () => channel.close(),
  };
}

/**
 * Waits until a driver can be reached and says that it is ready; one that says neither is (CSI specification, Probe).
 * @throws DriverError unavailable after `limitMs` milliseconds
 */
export async function waitUntilReady(channel: RpcChannel, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  await channel.waitForReady(limitMs);
  const identity = channel.client<IdentityDefinition>(loadProto('csi-proto/csi.proto').service('csi.v1.Identity'));
  while ((await identity.Probe({}, { timeoutMs: limitMs })).ready?.value === false) {
    if (performance.now() > deadline) throw new DriverError('unavailable', 'the driver is still starting');
    await sleep(PROBE_PAUSE_MS);
  }
}

/**
 * Makes a call that changes something, as a sidecar does: codes that are not final are tried again, with the same name.
 * No signal: what is half made on the other side is worse than a moment's wait; a cancelled run stops after it.
 */
export async function persist<T>(
  call: (options: { readonly timeoutMs: number }) => Promise<T>,
  onRetry?: (error: unknown) => void,
): Promise<T> {
  for (let attempt = 1, pause = FIRST_PAUSE_MS; ; attempt++, pause *= 2) {
    try {
      return await call({ timeoutMs: CALL_TIMEOUT_MS });
    } catch (error) {
      if (attempt === ATTEMPTS || !isPassing(error)) throw error;
      onRetry?.(error);
    }
    await sleep(pause);
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof DriverError && ['aborted', 'unavailable', 'deadline-exceeded'].includes(error.code);
}
