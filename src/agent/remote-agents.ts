/** The directory of a controller whose nodes are elsewhere. */
import { DriverError } from '../core/errors.ts';
import type { NodeName } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import { compareIds } from '../core/sorted-index.ts';
import type { LinkParts } from './agent-client.ts';
import { RemoteAgent } from './remote-agent.ts';

/** Where nodes are: name to `host:port`. */
export type NodeAddresses = ReadonlyMap<NodeName, string>;

interface Entry {
  readonly address: string;
  readonly agent: RemoteAgent;
}

export class RemoteAgents implements NodeDirectory, Disposable {
  readonly #link: LinkParts;
  #entries: ReadonlyMap<NodeName, Entry> = new Map();
  #nodes: readonly NodeName[] = [];

  constructor(link: LinkParts) {
    this.#link = link;
  }

  /**
   * Keeps the agents of nodes that stay where they were, and their connections; of those that went, calls under way may
   * end, and whoever has one of them may go on with it.
   * @throws DriverError invalid-argument for an address that is none; nothing has changed then
   */
  update(addresses: NodeAddresses): void {
    const before = this.#entries;
    const after = new Map<NodeName, Entry>();
    for (const [node, address] of addresses) {
      const known = before.get(node);
      const stays = known?.address === address;
      after.set(node, stays ? known : { address, agent: new RemoteAgent({ node, address }, this.#link) });
    }
    this.#entries = after;
    this.#nodes = [...after.keys()].sort(compareIds);
    for (const [node, entry] of before) if (after.get(node) !== entry) entry.agent[Symbol.dispose]();
  }

  agent(node: NodeName): NodeAgent {
    const entry = this.#entries.get(node);
    if (!entry) throw new DriverError('unavailable', `node ${JSON.stringify(node)} is not among those that are known`);
    return entry.agent;
  }

  has(node: NodeName): boolean {
    return this.#entries.has(node);
  }

  nodes(): readonly NodeName[] {
    return this.#nodes;
  }

  [Symbol.dispose](): void {
    this.update(new Map());
  }
}
