import type { Logger, Metrics } from '../core/observe.ts';
import type { RoundObserver } from '../fence/coordinator.ts';

/** One line for every round that tells its story, and its metrics. */
export function observeRounds(logger: Logger, metrics: Metrics): RoundObserver {
  return {
    committed: ({ name, group }, token, records, windowMs) => {
      const evidence = records.flatMap((record) => record.evidence);
      metrics.roundCommitted(evidence.length, windowMs);
      logger.info(
        { round: token, name, group: group?.id, members: evidence.length, windowMs, evidence },
        'round committed',
      );
    },
    aborted: ({ name, group, members }, token, reason) => {
      metrics.roundAborted();
      logger.warn({ round: token, name, group: group?.id, members: members.length, err: reason }, 'round aborted');
    },
  };
}
