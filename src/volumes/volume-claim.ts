import { type NodeName, volumeId } from '../core/ids.ts';
import type { NodeAgent, NodeDirectory } from '../core/node-agent.ts';
import { newToken } from '../core/round.ts';
import type { Claim, Volume } from '../core/volume.ts';
import { askNodes, needAnswerOf } from './nodes.ts';

/**
 * One attempt at creating a volume that several nodes may make. However many controllers try at a time, at most one makes it
 * (docs/adr/0012-a-volume-that-may-be-anywhere.md): it is claimed on all the nodes, then confirmed on all of them, then
 * made on one, which refuses if another attempt has claimed it since.
 */
export class VolumeClaim {
  readonly token: Claim = newToken();
  readonly #directory: NodeDirectory;
  readonly #name: string;

  constructor(directory: NodeDirectory, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  /** @returns the volume, when this node has it already */
  async lookOn(agent: NodeAgent, signal: AbortSignal): Promise<Volume | undefined> {
    return await agent.claimVolume(volumeId(agent.node, this.#name), this.token, signal);
  }

  /**
   * To be called when all of the nodes have been looked on, and none has the volume.
   * @throws DriverError aborted when another attempt has claimed it on one of them; unavailable
   */
  async confirm(nodes: readonly NodeName[], signal: AbortSignal): Promise<void> {
    const { away } = await askNodes(this.#directory, nodes, async (agent) => {
      await agent.confirmClaim(volumeId(agent.node, this.#name), this.token, signal);
    });
    needAnswerOf(away, nodes);
  }
}
