import { DriverError } from '../core/errors.ts';
import type { VolumeId } from '../core/ids.ts';
import type { Claim } from '../core/volume.ts';

/** Enough for every call that may be under way; what is forgotten before its time fails, and is claimed anew. */
const REMEMBERED = 4096;

/** Which attempt may create a volume here: the last that claimed it (docs/adr/0012-a-volume-that-may-be-anywhere.md). */
export class VolumeClaims {
  /** The oldest first. */
  readonly #last = new Map<VolumeId, Claim>();

  claim(id: VolumeId, claim: Claim): void {
    this.#last.delete(id);
    this.#last.set(id, claim);
    const [oldest] = this.#last.keys();
    if (this.#last.size > REMEMBERED && oldest !== undefined) this.#last.delete(oldest);
  }

  /** @throws DriverError aborted */
  assertLast(id: VolumeId, claim: Claim): void {
    if (this.#last.get(id) === claim) return;
    throw new DriverError('aborted', `another call is creating volume ${id}, or this node has restarted meanwhile`);
  }

  /** The volume is there. */
  forget(id: VolumeId): void {
    this.#last.delete(id);
  }
}
