/** A copy that is not a round: CreateVolume from a volume in use. */
import type { Backend } from '../core/backend.ts';
import { DriverError } from '../core/errors.ts';
import { failpoint } from '../core/failpoint.ts';
import type { VolumeId } from '../core/ids.ts';
import { newToken } from '../core/round.ts';
import type { FenceSession } from './fence-session.ts';
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
   * @param undo deletes what the work made, should the freeze not have held until it was done; so it must have been this
   *   work that made it
   * @throws DriverError failed-precondition when the copy would take longer than the budget; aborted when it did not hold;
   *   whatever `undo` throws: then what the work made is still there
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
    const result = await whileFrozen(session, this.#leaseMs, work);
    const [end] = await Promise.allSettled([session.end()]);
    if (end.status === 'fulfilled' && end.value.held) return result;
    // Nor is it known to have held when the thaw fails.
    await undo();
    if (end.status === 'rejected') throw end.reason;
    throw new DriverError('aborted', `volume ${volumeId} did not stay quiet until its copy was made`);
  }
}

/** Leaves the session to be ended by whoever has the result. */
async function whileFrozen<T>(session: FenceSession, leaseMs: number, work: () => Promise<T>): Promise<T> {
  try {
    await session.freeze(leaseMs);
    await failpoint('clone.frozen');
    return await work();
  } catch (error) {
    await session.end();
    throw error;
  }
}
