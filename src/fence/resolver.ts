/**
 * Finishes rounds whose coordinator did not come back (docs/adr/0005-many-nodes.md): for a part that is sealed on a node,
 * the home of its group is asked what is decided, and the part follows.
 */
import { DriverError } from '../core/errors.ts';
import { type GroupId, memberSnapshotId, type NodeName, nodeOf } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import type { Decision, GroupIntent, SealedPart } from '../core/round.ts';

export interface ResolverObserver {
  settled(node: NodeName, part: SealedPart, decision: Decision): void;
  /** The node, or the home of one of its parts, could not be asked. */
  failed(node: NodeName, reason: unknown): void;
}

export class Resolver {
  readonly #directory: NodeDirectory;

  constructor(directory: NodeDirectory) {
    this.#directory = directory;
  }

  /**
   * Before a new round of a group: what earlier ones left on these nodes.
   * @throws DriverError aborted while one of them may still be led; unavailable when its home is away
   */
  async settleGroup(id: GroupId, nodes: Iterable<NodeName>, signal: AbortSignal): Promise<void> {
    for (const { agent, part } of await this.#partsOn(nodes, signal)) {
      if (part.group.id !== id) continue;
      if ((await this.#settle(agent, part, signal)) !== 'pending') continue;
      throw new DriverError('aborted', `round ${part.token} of ${id} is still under way`);
    }
  }

  /** Of all groups, on all nodes. What can't be settled now is tried again by the next call. */
  async settleAll(observer: ResolverObserver, signal: AbortSignal): Promise<void> {
    for (const node of this.#directory.nodes()) {
      try {
        for (const { agent, part } of await this.#partsOn([node], signal)) {
          // Each by itself: the home of one may be away, and that of the next not.
          await this.#settle(agent, part, signal).then(
            (decision) => observer.settled(node, part, decision),
            (reason: unknown) => observer.failed(node, reason),
          );
        }
      } catch (reason) {
        observer.failed(node, reason);
      }
    }
  }

  async #partsOn(nodes: Iterable<NodeName>, signal: AbortSignal) {
    const listed = [...nodes].map(async (node) => {
      const agent = this.#directory.agent(node);
      return (await agent.sealedParts(signal)).map((part) => ({ agent, part }));
    });
    return (await Promise.all(listed)).flat();
  }

  async #settle(agent: NodeAgent, { token, group }: SealedPart, signal: AbortSignal): Promise<Decision> {
    const home = nodeOf('group', group.id) ?? '';
    if (!this.#directory.has(home)) throw homeless(group);
    const decision = await this.#directory.agent(home).settle(token, signal);
    if (decision === 'committed') await agent.commit(token, signal);
    if (decision === 'aborted') await agent.abort(token, signal);
    return decision;
  }
}

/** It may come back having decided, so the part stays; nobody sees it, so this says how it can be deleted. */
function homeless({ id, name, volumeIds }: GroupIntent): DriverError {
  const snapshotIds = volumeIds
    .map((volume) => memberSnapshotId(nodeOf('volume', volume) ?? '', name, volume))
    .join(', ');
  return new DriverError(
    'failed-precondition',
    `a part of ${id} waits for its home, which is no longer on the list of nodes, to say whether it was committed; ` +
      `DeleteVolumeGroupSnapshot of it with snapshot_ids ${snapshotIds} gives it up`,
  );
}
