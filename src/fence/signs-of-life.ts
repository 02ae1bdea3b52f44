/**
 * A node that has prepared its part of a round holds its members while other nodes are still writing back, which may
 * rightly take long. So that it can give up soon when the coordinator has died, and not while it lives, it hears from it
 * meanwhile: `prepare` again, which changes nothing.
 */

/** Without a sign for so long, a node gives up what it has prepared. Not a lease: nothing is stopped yet. */
export const PREPARED_LIMIT_MS = 10_000;

/** Three may be lost or late. */
const SIGN_EVERY_MS = 2_500;

/** @param show one sign for all that wait; its signal ends with the work */
export async function showingLife<T>(work: Promise<T>, show: (signal: AbortSignal) => void): Promise<T> {
  const over = new AbortController();
  const signs = setInterval(() => show(over.signal), SIGN_EVERY_MS);
  try {
    return await work;
  } finally {
    clearInterval(signs);
    over.abort();
  }
}
