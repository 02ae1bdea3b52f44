/** A copy that is not a round: CreateVolume from a volume in use. */
import type { Backend } from '../core/backend.ts';
import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { VolumeId } from '../core/ids.ts';
import { newToken } from '../core/round.ts';
import type { NodeFence } from './node-fence.ts';

export class QuietCopies {
  readonly #backend: Backend;
  readonly #fence: NodeFence;
  readonly #leaseMs: number;
  readonly #budgetMs: number;

  /**
   * @param leaseMs longest time that a volume is frozen, milliseconds
   * @param budgetMs longest time that a copy may be expected to take, milliseconds
   */
  constructor(backend: Backend, fence: NodeFence, leaseMs: number, budgetMs: number) {
    this.#backend = backend;
    this.#fence = fence;
    this.#leaseMs = leaseMs;
    this.#budgetMs = budgetMs;
  }

  /**
   * Runs `work` while the volume is quiet.
   * @param undo deletes what the work made, should the freeze not have held until it was done
   * @throws DriverError failed-precondition when the copy would take longer than the budget; aborted when it did not hold
   */
  async whileQuiet<T>(
    volumeId: VolumeId,
    work: () => Promise<T>,
    undo: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<T> {
    if (!this.#backend.copiesStopped) return await work();
    const [target] = await this.#backend.fenceTargets([volumeId]);
    if (target?.kind !== 'fenced') return await work();
    await this.#backend.assertCutWithin(Math.min(this.#budgetMs, this.#leaseMs), [volumeId]);
    const session = await this.#fence.prepare(newToken(), [target.layers], signal);
    try {
      await session.freeze(this.#leaseMs);
      await failpoint('clone.frozen');
      const result = await work();
      if ((await session.end()).held) return result;
    } finally {
      await session.end();
    }
    await undo();
    throw new DriverError('aborted', `volume ${volumeId} did not stay quiet until its copy was made`);
  }
}
