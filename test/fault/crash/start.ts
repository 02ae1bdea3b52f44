/** Failpoints on the way from the start of the process to its first answer. */

/** A first start: the pool is made. */
export const FIRST_START = ['pool.attached', 'pool.formatted', 'pool.named', 'pool.mounted'] as const;

/** A start with a larger pool than the last one's. */
export const GROWING_START = ['pool.grow', 'pool.resized'] as const;

/** A start after a crash. */
export const SECOND_START = [
  'recovery.thawed',
  'journal.remove',
  'sweep.volumes',
  'sweep.cuts',
  'trash.remove',
] as const;
