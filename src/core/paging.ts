/** Lists are in the order of their ids; a page starts after an id, which need not exist any more. */
export interface PageRequest {
  /** Return what comes after this id; from the start when absent. */
  readonly after?: string;
  /** At most so many; all when absent. */
  readonly limit?: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** The last id of this page when more may follow. */
  readonly next?: string;
}
