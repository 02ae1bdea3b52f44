/** An agent on the network. */
import { DriverError } from '../core/errors.ts';
import type { NodeAgent } from '../core/node-agent.ts';
import type { Logger, Metrics } from '../core/observe.ts';
import type { Address } from '../rpc/address.ts';
import type { RpcServer } from '../rpc/server.ts';
import type { LinkSecurity } from './link-security.ts';

export interface ServeAgentOptions {
  readonly address: Address;
  readonly agent: NodeAgent;
  readonly security: LinkSecurity;
  /** Of the driver; shown to controllers. */
  readonly version: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Milliseconds that calls under way have to end by themselves when the server stops. */
  readonly drainMs: number;
}

/** @throws DriverError failed-precondition when the address can't be listened at */
export async function serveAgent(_options: ServeAgentOptions): Promise<RpcServer> {
  throw new DriverError('unimplemented', 'the link is not made yet');
}
