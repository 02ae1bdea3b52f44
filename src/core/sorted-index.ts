/**
 * An index of things by id, in the order of the ids: a page costs its length and one binary search, whatever else is
 * in the index, and a page's end stays a valid start when the thing it names is gone.
 */
import type { Page, PageRequest } from './paging.ts';

export class SortedIndex<T extends { readonly id: string }> {
  readonly #byId = new Map<string, T>();
  /** Sorted as `compareIds` says. */
  readonly #ids: string[] = [];

  get size(): number {
    return this.#ids.length;
  }

  get(id: string): T | undefined {
    return this.#byId.get(id);
  }

  set(item: T): void {
    if (!this.#byId.has(item.id)) this.#ids.splice(firstAtOrAfter(this.#ids, item.id), 0, item.id);
    this.#byId.set(item.id, item);
  }

  delete(id: string): void {
    if (this.#byId.delete(id)) this.#ids.splice(firstAtOrAfter(this.#ids, id), 1);
  }

  values(): IterableIterator<T> {
    return this.#byId.values();
  }

  page({ after, limit }: PageRequest): Page<T> {
    let start = 0;
    if (after !== undefined) {
      start = firstAtOrAfter(this.#ids, after);
      if (this.#ids[start] === after) start++;
    }
    const end = limit === undefined ? this.#ids.length : Math.min(this.#ids.length, start + limit);
    const items: T[] = [];
    for (let i = start; i < end; i++) {
      const item = this.#byId.get(this.#ids[i] ?? '');
      if (item) items.push(item);
    }
    const last = this.#ids[end - 1];
    return end < this.#ids.length && end > start && last !== undefined ? { items, next: last } : { items };
  }
}

/** The order of ids, and of names of nodes: by code unit, like the comparison operators. */
export function compareIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Where this id is, or would be, among ids in their order.
 * @returns the length of the list when all of them come before it
 */
export function firstAtOrAfter(sorted: readonly string[], id: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
