import type { RoundToken } from '../core/round.ts';
import type { CutRecord } from '../core/snapshot.ts';
import type { PoolIndex } from './pool-index.ts';

/**
 * Deletions of cuts. One that was begun and not finished can't be found in the index any more, but its space is not free: it
 * is remembered for whoever asks again. A restart forgets it, and sweeps it.
 */
export class Deletions {
  readonly #index: PoolIndex;
  readonly #remove: (record: CutRecord) => Promise<void>;
  readonly #unfinished = new Map<RoundToken, CutRecord>();

  /** @param remove takes the cut out of pool and index; again, after it has failed: what there still is of it */
  constructor(index: PoolIndex, remove: (record: CutRecord) => Promise<void>) {
    this.#index = index;
    this.#remove = remove;
  }

  async delete(record: CutRecord): Promise<void> {
    try {
      await this.#remove(record);
      this.#unfinished.delete(record.token);
    } catch (error) {
      if (!this.#index.cut(record.token)) this.#unfinished.set(record.token, record);
      throw error;
    }
  }

  /** Goes on with earlier deletions. @param id of a group, or of a snapshot that is in none */
  async finish(id: string): Promise<void> {
    for (const record of [...this.#unfinished.values()]) {
      const own = record.group ? [record.group.id] : record.snapshots.map((snapshot) => snapshot.id);
      if (own.includes(id)) await this.delete(record);
    }
  }
}
