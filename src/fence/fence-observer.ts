import type { RoundToken } from '../core/round.ts';

/** What a node tells of its fences and rounds, for metrics and the log. */
export interface FenceObserver {
  /** Members that are frozen now, in rounds and for copies. */
  frozenNow(members: number): void;
  /** A lease ended while something was frozen under it. */
  leaseLost(): void;
  /** Something of a round, or of a copy, could not be undone, and nobody waits for it who would hear of it. */
  notCleanedUp(token: RoundToken, reason: unknown): void;
}
