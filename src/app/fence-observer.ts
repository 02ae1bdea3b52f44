import type { Logger, Metrics } from '../core/observe.ts';
import type { FenceObserver } from '../fence/fence-observer.ts';

/** What happens to a node's fences: its metrics, and a line for what nobody else would hear of. */
export function observeFence(logger: Logger, metrics: Metrics): FenceObserver {
  return {
    frozenNow: (members) => metrics.frozenNow(members),
    leaseLost: () => metrics.leaseLost(),
    notCleanedUp: (token, reason) =>
      logger.error(
        { round: token, err: reason },
        'what a round has left could not be removed: the next start tries again',
      ),
  };
}
