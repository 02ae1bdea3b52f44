/** Many agents in one process, each with a listener of its own: started by `SimulatedNodes`. */
import { openLinkSecurity } from '../../../src/agent/link-security.ts';
import { serveAgent } from '../../../src/agent/serve-agent.ts';
import type { NodeName } from '../../../src/core/ids.ts';
import type { Logger, Metrics } from '../../../src/core/observe.ts';
import { SimulatedAgent } from './agent.ts';
import { type PoolShape, simulatedNode } from './pool.ts';

export interface Plan extends PoolShape {
  readonly nodes: number;
}

/** How often each RPC was answered, by node. */
export type Asked = Map<NodeName, Map<string, number>>;

export type Message =
  /** Where the agents listen: `host:port` by node. */
  | { readonly kind: 'ready'; readonly agents: ReadonlyMap<NodeName, string> }
  | { readonly kind: 'asked'; readonly asked: Asked };

const ignore = () => undefined;
const logger: Logger = { debug: ignore, info: ignore, warn: console.error, error: console.error };
let asked: Asked = new Map();

function measuring(node: NodeName): Metrics {
  const rpc: Metrics['rpc'] = ({ method }) => {
    const own = asked.get(node) ?? new Map<string, number>();
    asked.set(node, own.set(method, (own.get(method) ?? 0) + 1));
  };
  return { rpc, agentCall: ignore, round: ignore, leaseLost: ignore, frozenNow: ignore, pool: ignore };
}

async function serveAll({ nodes, ...shape }: Plan): Promise<ReadonlyMap<NodeName, string>> {
  const security = await openLinkSecurity({ insecure: true }, { ...logger, warn: ignore });
  const agents = new Map<NodeName, string>();
  for (let index = 0; index < nodes; index++) {
    const node = simulatedNode(index);
    const { address } = await serveAgent({
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      agent: new SimulatedAgent(node, shape),
      security,
      version: 'simulated',
      logger,
      metrics: measuring(node),
      drainMs: 0,
    });
    if (address.kind === 'tcp') agents.set(node, `${address.host}:${address.port}`);
  }
  return agents;
}

function send(message: Message): void {
  process.send?.(message);
}

// What was asked since the last time.
process.on('message', () => {
  send({ kind: 'asked', asked });
  asked = new Map();
});
// Who started it has gone.
process.on('disconnect', () => process.exit(1));
send({ kind: 'ready', agents: await serveAll(JSON.parse(process.argv[2] ?? '') as Plan) });
