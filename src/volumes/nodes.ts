import { mapLimited } from '../core/concurrency.ts';
import { hasCode } from '../core/errors.ts';
import { type NodeName, nodeOf, type ParsedId } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';

/**
 * The agent of the node that an id names. Undefined for an id that this driver cannot have made, and for a node that
 * there is not: such a thing does not exist, and deleting it succeeds.
 * @throws DriverError unavailable when the node is known, and away
 */
export function agentOf(directory: NodeDirectory, kind: ParsedId['kind'], id: string): NodeAgent | undefined {
  const node = nodeOf(kind, id);
  return node !== undefined && directory.has(node) ? directory.agent(node) : undefined;
}

export interface Answers<T> {
  readonly found: readonly T[];
  /** Nodes that did not answer, and why. */
  readonly away: ReadonlyMap<NodeName, unknown>;
}

/**
 * As many nodes are asked at a time. Those that were not asked for a while have to be connected to first, which takes this
 * process a few milliseconds each: a thousand at once would all be too late, and count as away.
 */
export const ASKED_AT_A_TIME = 64;

/**
 * Asks these nodes, many at a time. A name says nothing about its node, so this is how a retry finds what an earlier call
 * made.
 * @throws whatever a node throws, except that it is away
 */
export async function askNodes<T>(
  directory: NodeDirectory,
  nodes: readonly NodeName[],
  ask: (agent: NodeAgent) => Promise<T | undefined>,
): Promise<Answers<T>> {
  const away = new Map<NodeName, unknown>();
  const answers = await mapLimited(nodes, ASKED_AT_A_TIME, async (node) => {
    try {
      return await ask(directory.agent(node));
    } catch (reason) {
      if (!hasCode(reason, 'unavailable')) throw reason;
      away.set(node, reason);
      return undefined;
    }
  });
  return { found: answers.filter((answer) => answer !== undefined), away };
}

/** Of the nodes that matter, one that is away makes the answer unknown. @throws DriverError unavailable */
export function needAnswerOf(away: ReadonlyMap<NodeName, unknown>, nodes: Iterable<NodeName>): void {
  for (const node of nodes) {
    const reason = away.get(node);
    if (reason !== undefined) throw reason;
  }
}
