/**
 * A node that has prepared or sealed its part of a round waits for the other nodes, which may rightly take long to write
 * back, or to seal. So that it can give up soon when the coordinator has died, and not while it lives, it hears from it
 * meanwhile: `NodeAgent.wait`.
 */

const SILENT_LEASES = 2;
/** A process may be slow for a second, however short the lease. */
const SHORTEST_SILENCE_MS = 2000;
/** Three may be lost or late. */
const SIGNS_IN_THE_LIMIT = 4;

/**
 * A coordinator of which nothing was heard for so long is taken for dead, milliseconds. Longer than the lease: what is
 * stopped anywhere has been let go by then.
 */
export function silenceLimitMs(leaseMs: number): number {
  return Math.max(SILENT_LEASES * leaseMs, SHORTEST_SILENCE_MS);
}

/** @param show one sign to all that wait; its signal ends with the work */
export async function showingLife<T>(
  work: Promise<T>,
  leaseMs: number,
  show: (signal: AbortSignal) => void,
): Promise<T> {
  const over = new AbortController();
  const signs = setInterval(() => show(over.signal), silenceLimitMs(leaseMs) / SIGNS_IN_THE_LIMIT);
  try {
    return await work;
  } finally {
    clearInterval(signs);
    over.abort();
  }
}
