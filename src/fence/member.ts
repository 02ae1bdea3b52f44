/** One member of a round as the fence sees it: its layers, stopped from the top down, let go from the bottom up. */
import type { FenceLayer } from '../core/backend.ts';
import { type OpenLayer, openLayer } from './layer.ts';

export type MemberLayers = readonly FenceLayer[];

export class FencedMember {
  readonly #layers: readonly OpenLayer[];
  /** How many are stopped, from the top. */
  #stopped = 0;

  /** @param layers from the top down; closed with it */
  constructor(layers: readonly OpenLayer[]) {
    this.#layers = layers;
  }

  static async open(layers: MemberLayers): Promise<FencedMember> {
    const opened: OpenLayer[] = [];
    try {
      for (const layer of layers) opened.push(await openLayer(layer));
      return new FencedMember(opened);
    } catch (error) {
      for (const layer of opened) await layer.close();
      throw error;
    }
  }

  async writeBack(): Promise<void> {
    for (const layer of this.#layers) await layer.writeBack();
  }

  /** Stopped by us, if only in part. */
  get isStopped(): boolean {
    return this.#stopped > 0;
  }

  /**
   * Stops all layers.
   * @throws SystemError when one can't be stopped; those above it are let go again, or it still `isStopped`
   */
  async stop(): Promise<void> {
    try {
      for (const layer of this.#layers) {
        await layer.stop();
        this.#stopped++;
      }
    } catch (error) {
      await this.letGo().catch(() => undefined);
      throw error;
    }
  }

  /** Lets go what `stop` stopped. @returns whether all of it was still stopped */
  async letGo(): Promise<boolean> {
    const held = await letGo(this.#layers.slice(0, this.#stopped));
    this.#stopped = 0;
    return held;
  }

  /** Lets go whatever is stopped, when another process stopped it. */
  async letGoAnyway(): Promise<boolean> {
    return await letGo(this.#layers);
  }

  async close(): Promise<void> {
    await Promise.all(this.#layers.map((layer) => layer.close()));
  }
}

/** From the bottom up: a filesystem may write when it is thawed, and would wait for a device that is suspended. */
async function letGo(layers: readonly OpenLayer[]): Promise<boolean> {
  let held = true;
  for (const layer of layers.toReversed()) held = (await layer.letGo()) && held;
  return held;
}
