/** A directory of nodes that somebody wrote down. */
import { DriverError, invalidArgument, messageOf } from '../core/errors.ts';
import { isNodeName, type NodeName } from '../core/ids.ts';
import type { NodeDirectory } from '../core/node-agent.ts';
import type { Logger } from '../core/observe.ts';
import { parseAddress } from '../rpc/address.ts';
import { WatchedFiles } from '../rpc/watched-files.ts';
import type { LinkParts } from './agent-client.ts';
import { type NodeAddresses, RemoteAgents } from './remote-agents.ts';

export type NodeListSource =
  /** `name=host:port,name=host:port`; `field` is what it is called in messages. */
  | { readonly kind: 'list'; readonly text: string; readonly field: string }
  /** One `name=host:port` per line, `#` begins a comment; read again when it changes. */
  | { readonly kind: 'file'; readonly path: string; readonly lookMs?: number };

/** @throws DriverError invalid-argument (list), failed-precondition (file) that names what is wrong */
export async function openStaticDirectory(
  source: NodeListSource,
  link: LinkParts,
  logger: Logger,
): Promise<NodeDirectory & Disposable> {
  using resources = new DisposableStack();
  const agents = resources.use(new RemoteAgents(link));
  if (source.kind === 'list') {
    agents.update(parseNodes(source.field, source.text.split(',')));
  } else {
    const file = resources.use(await openFile(source.path, logger, source.lookMs));
    agents.update(file.value);
    file.onChange(() => agents.update(file.value));
  }
  const owned = resources.move();
  return {
    agent: (node) => agents.agent(node),
    has: (node) => agents.has(node),
    nodes: () => agents.nodes(),
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}

async function openFile(path: string, logger: Logger, lookMs?: number): Promise<WatchedFiles<NodeAddresses>> {
  const parse = ([content]: readonly Buffer[]) => parseNodes(path, linesOf(String(content)));
  try {
    return await WatchedFiles.open([path], parse, logger, lookMs);
  } catch (cause) {
    throw new DriverError('failed-precondition', `the list of nodes can't be used: ${messageOf(cause)}`, { cause });
  }
}

function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

/**
 * @param field what is being read, for messages
 * @throws DriverError invalid-argument; also when there is none: all volumes would be taken for gone
 */
export function parseNodes(field: string, entries: readonly string[]): NodeAddresses {
  const nodes = new Map<NodeName, string>();
  for (const entry of entries) {
    const [, node = '', address = ''] = /^\s*([^=\s]+)=(\S+)\s*$/.exec(entry) ?? [];
    if (node === '') throw invalidArgument(field, `${JSON.stringify(entry)} is not name=host:port`);
    if (!isNodeName(node)) throw invalidArgument(field, `${JSON.stringify(node)} is no name of a node`);
    if (nodes.has(node)) throw invalidArgument(field, `node ${node} is there twice`);
    checkAddress(field, address);
    nodes.set(node, address);
  }
  if (nodes.size === 0) throw invalidArgument(field, 'names no node');
  return nodes;
}

function checkAddress(field: string, address: string): void {
  const parsed = parseAddress(field, `tcp://${address}`);
  if (parsed.kind === 'tcp' && parsed.port === 0) throw invalidArgument(field, `${address} has no port`);
}
