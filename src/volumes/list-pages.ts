import { DriverError } from '../core/errors.ts';
import { type NodeName, parseId } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import { firstAtOrAfter } from '../core/sorted-index.ts';
import { decodeToken, encodeToken, type ListedKind } from './page-tokens.ts';
import type { ListRequest, ListResult } from './requests.ts';

/**
 * One page of a list over these nodes: node after node in the order of their names, on each in the order of ids. A node
 * that is away fails the call: a list with holes would be read as things deleted. Asked are the nodes that the page is
 * from, and those without entries on the way to it.
 * @param nodes in the order of their names
 * @param fetch asks one node for one of its pages; costs O(page)
 * @throws DriverError aborted (token), unavailable
 */
export async function listPages<T extends { readonly id: string }>(
  directory: NodeDirectory,
  nodes: readonly NodeName[],
  kind: ListedKind,
  { startingToken, maxEntries }: ListRequest,
  fetch: (agent: NodeAgent, page: PageRequest) => Promise<Page<T>>,
): Promise<ListResult<T>> {
  const start = startingToken === '' ? undefined : startOf(kind, startingToken);
  const items: T[] = [];
  for (let i = start === undefined ? 0 : firstAtOrAfter(nodes, start.node); i < nodes.length; i++) {
    const node = nodes[i] ?? '';
    let after = node === start?.node ? start.id : undefined;
    do {
      const left = maxEntries === 0 ? undefined : maxEntries - items.length;
      const page = await fetch(directory.agent(node), {
        ...(after !== undefined && { after }),
        ...(left !== undefined && { limit: left }),
      });
      items.push(...page.items);
      after = page.next;
      if (left !== undefined && page.items.length >= left) {
        const more = after !== undefined || i < nodes.length - 1;
        return { items, nextToken: more ? encodeToken(kind, items.at(-1)?.id ?? '') : '' };
      }
    } while (after !== undefined);
  }
  return { items, nextToken: '' };
}

function startOf(kind: ListedKind, token: string): { readonly id: string; readonly node: NodeName } {
  const id = decodeToken(kind, token);
  const parsed = parseId(id);
  if (!parsed) throw new DriverError('internal', 'a token was accepted whose id has no node');
  return { id, node: parsed.node };
}
