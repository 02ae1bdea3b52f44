export interface Clock {
  /** Milliseconds on a clock that never goes back: for leases and durations. */
  monotonicMs(): number;
  /** Milliseconds since the epoch: only for times shown to people. */
  wallMs(): number;
}

export const systemClock: Clock = {
  // CLOCK_MONOTONIC in libuv: stops while the machine sleeps, never jumps.
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
