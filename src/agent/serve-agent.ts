/** An agent on the network. */
import type { NodeAgent } from '../core/node-agent.ts';
import type { Logger, Metrics } from '../core/observe.ts';
import type { AgentDefinition } from '../gen/cofferdam/agent/v1/Agent.ts';
import type { Address } from '../rpc/address.ts';
import { logCalls, measureCalls } from '../rpc/interceptors.ts';
import { bindService, type RpcServer, serve } from '../rpc/server.ts';
import { agentHandlers } from './agent-service.ts';
import { AGENT_SERVICE, type AgentStreams, agentService } from './api.ts';
import { admitControllers } from './link-identity.ts';
import type { LinkSecurity } from './link-security.ts';

/** A plan names every member of its group, on all nodes. */
const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

/** Looking changes nothing: controllers do it all the time. */
const QUIET_METHODS: ReadonlySet<string> = new Set([
  'Hello',
  'Capacity',
  'ClaimVolume',
  'ConfirmClaim',
  'GetVolume',
  'ListVolumes',
  'GetSnapshot',
  'ListSnapshots',
  'GetGroup',
  'SealedParts',
]);

export interface ServeAgentOptions {
  readonly address: Address;
  readonly agent: NodeAgent;
  readonly security: LinkSecurity;
  /** Version of the driver; shown to controllers. */
  readonly version: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Milliseconds that calls under way have to end by themselves when the server stops. */
  readonly drainMs: number;
}

/** @throws DriverError failed-precondition when the address can't be listened at */
export async function serveAgent(options: ServeAgentOptions): Promise<RpcServer> {
  const { address, agent, security, version, logger, metrics, drainMs } = options;
  const { identity } = security;
  const handlers = agentHandlers(agent, version);
  return await serve({
    address,
    services: [bindService<AgentDefinition, AgentStreams>(AGENT_SERVICE, agentService(), handlers)],
    interceptors: [
      logCalls({ logger, secretFields: new Set(), quietMethods: QUIET_METHODS }),
      measureCalls(metrics),
      ...(identity ? [admitControllers] : []),
    ],
    drainMs,
    maxRequestBytes: MAX_REQUEST_BYTES,
    ...(identity && { tls: identity }),
  });
}
