/**
 * An index of things by id, in the order of the ids: a page costs its length and one binary search, whatever else is
 * in the index, and a page's end stays a valid start when the thing it names is gone.
 */
import type { Page, PageRequest } from './paging.ts';

export class SortedIndex<T extends { readonly id: string }> {
  readonly #byId = new Map<string, T>();
  /** Sorted as `compareIds` says, but for those that were added since. */
  readonly #ids: string[] = [];
  readonly #added: string[] = [];

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): T | undefined {
    return this.#byId.get(id);
  }

  set(item: T): void {
    if (!this.#byId.has(item.id)) this.#added.push(item.id);
    this.#byId.set(item.id, item);
  }

  delete(id: string): void {
    if (!this.#byId.delete(id)) return;
    const ids = this.#sorted();
    ids.splice(firstAtOrAfter(ids, id), 1);
  }

  values(): IterableIterator<T> {
    return this.#byId.values();
  }

  page({ after, limit }: PageRequest): Page<T> {
    const ids = this.#sorted();
    let start = 0;
    if (after !== undefined) {
      start = firstAtOrAfter(ids, after);
      if (ids[start] === after) start++;
    }
    const end = limit === undefined ? ids.length : Math.min(ids.length, start + limit);
    const items: T[] = [];
    for (let i = start; i < end; i++) {
      const item = this.#byId.get(ids[i] ?? '');
      if (item) items.push(item);
    }
    const last = ids[end - 1];
    return end < ids.length && end > start && last !== undefined ? { items, next: last } : { items };
  }

  /** Put in place when somebody asks: a pool that is read adds thousands in any order. */
  #sorted(): string[] {
    const [first] = this.#added;
    if (first === undefined) return this.#ids;
    if (this.#added.length === 1) this.#ids.splice(firstAtOrAfter(this.#ids, first), 0, first);
    else {
      for (const id of this.#added) this.#ids.push(id);
      this.#ids.sort(compareIds);
    }
    this.#added.length = 0;
    return this.#ids;
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
