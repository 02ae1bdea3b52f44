/** The directory of a controller whose nodes are elsewhere. */
import { DriverError } from '../core/errors.ts';
import type { NodeName } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import type { Metrics } from '../core/observe.ts';
import type { LinkSecurity } from './link-security.ts';

export interface LinkParts {
  readonly security: LinkSecurity;
  /** Of the driver; shown to agents. */
  readonly version: string;
  readonly metrics: Metrics;
}

/** Where nodes are: name to `host:port`. */
export type NodeAddresses = ReadonlyMap<NodeName, string>;

export class RemoteAgents implements NodeDirectory, Disposable {
  readonly link: LinkParts;

  constructor(link: LinkParts) {
    this.link = link;
  }

  /** Keeps the agents of nodes that stay where they were; of those that went, a call under way may end. */
  update(_addresses: NodeAddresses): void {
    throw new DriverError('unimplemented', 'the link is not made yet');
  }

  agent(_node: NodeName): NodeAgent {
    throw new DriverError('unimplemented', 'the link is not made yet');
  }

  nodes(): readonly NodeName[] {
    throw new DriverError('unimplemented', 'the link is not made yet');
  }

  [Symbol.dispose](): void {
    throw new DriverError('unimplemented', 'the link is not made yet');
  }
}
