import { DriverError } from '../core/errors.ts';
import { type NodeName, parseId } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import { firstAtOrAfter } from '../core/sorted-index.ts';
import { LookAhead } from './look-ahead.ts';
import { decodeToken, encodeToken, type ListedKind } from './page-tokens.ts';
import type { ListRequest, ListResult } from './requests.ts';

/**
 * The longest page, also for who asks for a longer one or does not say: the rest has a token. An entry is less than half a
 * KiB, with ids and topology as long as they may be, and gRPC clients (the sidecars) refuse answers of more than 4 MiB.
 */
export const MAX_PAGE_ENTRIES = 5000;

/** Made once: the one that is made for an abort without a reason has a stack. */
const FILLED = new DriverError('cancelled', 'the page is full');

/** Asks one node for one of its pages; costs O(page). */
export type Fetch<T> = (agent: NodeAgent, page: PageRequest, signal: AbortSignal) => Promise<Page<T>>;

/**
 * One page of a list over these nodes: node after node in the order of their names, on each in the order of ids. A node
 * that is away fails the call: a list with holes would be read as things deleted. Asked are the nodes that the page is
 * from, those without entries on the way to it, and where entries are few some beyond it, whose answers don't matter.
 * @param nodes in the order of their names
 * @throws DriverError aborted (token), unavailable
 */
export async function listPages<T extends { readonly id: string }>(
  directory: NodeDirectory,
  nodes: readonly NodeName[],
  kind: ListedKind,
  { startingToken, maxEntries }: ListRequest,
  fetch: Fetch<T>,
  signal: AbortSignal,
): Promise<ListResult<T>> {
  const start = startingToken === '' ? undefined : startOf(kind, startingToken);
  const limit = maxEntries === 0 ? MAX_PAGE_ENTRIES : Math.min(maxEntries, MAX_PAGE_ENTRIES);
  const filled = new AbortController();
  // Of one node nothing is asked ahead, which would be to be given up.
  const during = nodes.length > 1 ? AbortSignal.any([signal, filled.signal]) : signal;
  const ask = async (node: NodeName, after: string | undefined, most: number) =>
    await fetch(directory.agent(node), { ...(after !== undefined && { after }), limit: most }, during);

  const items: T[] = [];
  const left = () => limit - items.length;
  try {
    for await (const page of inOrder(nodes, start, left, ask)) {
      const taken = page.items.slice(0, left());
      for (const item of taken) items.push(item);
      if (left() > 0) continue;
      const more = taken.length < page.items.length || page.next !== undefined || page.node !== nodes.at(-1);
      return { items, nextToken: more ? encodeToken(kind, items.at(-1)?.id ?? '') : '' };
    }
    return { items, nextToken: '' };
  } finally {
    filled.abort(FILLED);
  }
}

/**
 * The pages of all nodes from this one on; several nodes are asked at a time where they have few entries.
 * @param left entries that are still wanted
 */
async function* inOrder<T>(
  nodes: readonly NodeName[],
  start: Start | undefined,
  left: () => number,
  ask: (node: NodeName, after: string | undefined, limit: number) => Promise<Page<T>>,
): AsyncGenerator<Page<T> & { readonly node: NodeName }> {
  const lookAhead = new LookAhead();
  let next = start === undefined ? 0 : firstAtOrAfter(nodes, start.node);
  while (next < nodes.length) {
    const together = nodes.slice(next, next + lookAhead.width(left()));
    next += together.length;
    // A share each, so that what is read ahead is no more than a page, however much there is.
    const share = Math.ceil(left() / together.length);
    const asked = together.map((node) => ({
      node,
      first: ask(node, start?.node === node ? start.id : undefined, share),
    }));
    // A failure matters when its node's turn comes, which may be never.
    for (const { first } of asked) first.catch(() => undefined);
    for (const { node, first } of asked) {
      let entries = 0;
      for (let page: Page<T> | undefined = await first; page; ) {
        entries += page.items.length;
        yield { ...page, node };
        page = page.next === undefined ? undefined : await ask(node, page.next, left());
      }
      if (node !== start?.node) lookAhead.sawNode(entries);
    }
  }
}

interface Start {
  readonly node: NodeName;
  /** The first entry is the one after this. */
  readonly id: string;
}

function startOf(kind: ListedKind, token: string): Start {
  const id = decodeToken(kind, token);
  const parsed = parseId(id);
  if (!parsed) throw new DriverError('internal', 'a token was accepted whose id has no node');
  return { id, node: parsed.node };
}
