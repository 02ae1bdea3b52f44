export interface Clock {
  /**
   * Milliseconds on a clock that never goes back, for leases and durations. The same in every process of a machine
   * (CLOCK_MONOTONIC), so that agent and guard agree on a deadline; never compared between machines.
   */
  monotonicMs(): number;
  /** Milliseconds since the epoch: only for times shown to people. */
  wallMs(): number;
}

export const systemClock: Clock = {
  // Not performance.now(): that counts from the start of the process.
  monotonicMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  wallMs: () => Date.now(),
};
