/** An agent and its client with a real connection between them. */
import type { LinkParts } from '../../../../src/agent/agent-client.ts';
import { type LinkSecurity, openLinkSecurity } from '../../../../src/agent/link-security.ts';
import { RemoteAgent } from '../../../../src/agent/remote-agent.ts';
import { serveAgent } from '../../../../src/agent/serve-agent.ts';
import type { NodeAgent } from '../../../../src/core/node-agent.ts';
import type { AgentCall } from '../../../../src/core/observe.ts';
import { connect } from '../../../../src/rpc/client.ts';
import type { LoadedService } from '../../../../src/rpc/proto.ts';
import type { RpcServer } from '../../../../src/rpc/server.ts';
import { MemoryLogger, MemoryMetrics } from '../../support/rpc.ts';

/** Longer than any machine takes: what is not about waiting must not fail of it. */
export const PATIENCE_MS = 60_000;

export class AgentMetrics extends MemoryMetrics {
  readonly agentCalls: AgentCall[] = [];

  override agentCall(call?: AgentCall): void {
    if (call) this.agentCalls.push(call);
  }
}

export async function insecure(): Promise<LinkSecurity> {
  return await openLinkSecurity({ insecure: true }, new MemoryLogger());
}

export interface ServedAgent {
  readonly server: RpcServer;
  readonly logger: MemoryLogger;
  /** `host:port` */
  readonly address: string;
}

export async function serveOne(
  agent: NodeAgent,
  security: LinkSecurity,
  { port = 0, drainMs = 100 } = {},
): Promise<ServedAgent> {
  const logger = new MemoryLogger();
  const server = await serveAgent({
    address: { kind: 'tcp', host: '127.0.0.1', port },
    agent,
    security,
    version: '1.2.3',
    logger,
    metrics: new AgentMetrics(),
    drainMs,
  });
  return { server, logger, address: `127.0.0.1:${portOf(server)}` };
}

export function portOf({ address }: RpcServer): number {
  if (address.kind !== 'tcp') throw new Error('not TCP');
  return address.port;
}

export function linkParts(security: LinkSecurity, patienceMs = PATIENCE_MS): LinkParts & { metrics: AgentMetrics } {
  return { security, version: '1.2.4', metrics: new AgentMetrics(), patienceMs };
}

export interface Link extends AsyncDisposable, ServedAgent {
  readonly remote: RemoteAgent;
  readonly metrics: AgentMetrics;
}

/** In the clear. */
export async function startLink(agent: NodeAgent, patienceMs?: number): Promise<Link> {
  await using resources = new AsyncDisposableStack();
  const security = resources.use(await insecure());
  const served = await serveOne(agent, security);
  resources.use(served.server);
  const parts = linkParts(security, patienceMs);
  const remote = resources.use(new RemoteAgent({ node: agent.node, address: served.address }, parts));
  const owned = resources.move();
  return { ...served, remote, metrics: parts.metrics, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A plain client of a served agent, for calls that `RemoteAgent` would never make. */
export async function reach<Client>(
  agent: NodeAgent,
  service: LoadedService,
): Promise<AsyncDisposable & { readonly client: Client }> {
  await using resources = new AsyncDisposableStack();
  const security = resources.use(await insecure());
  const { server, address } = await serveOne(agent, security);
  resources.use(server);
  const channel = resources.use(connect(`tcp://${address}`));
  const owned = resources.move();
  const client = channel.client(service) as unknown as Client;
  return { client, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
