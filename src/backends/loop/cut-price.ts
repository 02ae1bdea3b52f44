/**
 * What a cut will cost, told before it is made. A reflink takes its time for every extent of the image, whatever its
 * size, and writers wait meanwhile. Reflinks of many images in one pool gain little from more processors, since they
 * wait for each other in the pool's filesystem: so what counts is the sum of all extents (docs/adr/0011-fence-budget.md).
 */

/** Until the pool's own cuts tell better, microseconds: measured 14 to 18 for one image on XFS. */
const FIRST_GUESS_US = 15;
/** A cut of fewer extents tells of what every cut costs, and little of its extents. */
const TELLING_EXTENTS = 1000;
/** Of so many cuts the median counts, of two the cheaper: one that a busy machine held up does not. */
const REMEMBERED_CUTS = 9;
/** What is refused teaches nothing: after so many in a row one is let through, if it ever was to be. */
const REFUSALS_IN_A_ROW = 9;

export class CutPrice {
  readonly #usPerExtent: number[] = [FIRST_GUESS_US];
  #refusals = 0;

  /** Milliseconds that a cut of images with so many extents, taken together, will take. */
  predictMs(extents: number): number {
    const sorted = this.#usPerExtent.toSorted((a, b) => a - b);
    return (extents * (sorted[Math.floor((sorted.length - 1) / 2)] ?? FIRST_GUESS_US)) / 1000;
  }

  /** Whether such a cut is not to be made, because it would take longer than the budget. */
  refuses(extents: number, budgetMs: number): boolean {
    if (this.predictMs(extents) <= budgetMs) return false;
    const isTrial = this.#refusals >= REFUSALS_IN_A_ROW && (extents * FIRST_GUESS_US) / 1000 <= budgetMs;
    this.#refusals = isTrial ? 0 : this.#refusals + 1;
    return !isTrial;
  }

  /** @param ms from the start of its first reflink to the end of its last */
  learn(extents: number, ms: number): void {
    if (extents < TELLING_EXTENTS) return;
    this.#refusals = 0;
    this.#usPerExtent.push((ms * 1000) / extents);
    if (this.#usPerExtent.length > REMEMBERED_CUTS) this.#usPerExtent.shift();
  }
}
