import type { Logger, Metrics } from '../core/observe.ts';
import type { RoundObserver } from '../fence/coordinator.ts';
import type { RoundStory } from '../fence/led-round.ts';

/** One line for every round that tells its story, and its metrics. */
export function observeRounds(logger: Logger, metrics: Metrics): RoundObserver {
  return {
    committed: (story, records, windowMs) => {
      const evidence = records.flatMap((record) => record.evidence);
      metrics.round({ outcome: 'committed', members: evidence.length, windowMs, phaseMs: story.phaseMs });
      logger.info({ ...fieldsOf(story), windowMs, evidence }, 'round committed');
    },
    aborted: (story, reason) => {
      metrics.round({ outcome: 'aborted', phaseMs: story.phaseMs });
      logger.warn({ ...fieldsOf(story), err: reason }, 'round aborted');
    },
    undecided: (story, reason) => {
      metrics.round({ outcome: 'undecided', phaseMs: story.phaseMs });
      logger.warn({ ...fieldsOf(story), err: reason }, 'round not known to be decided: its home can not be asked');
    },
    unfinished: (story, reason) => {
      metrics.round({ outcome: 'unfinished', phaseMs: story.phaseMs });
      logger.warn({ ...fieldsOf(story), err: reason }, 'round decided, and not finished on every node');
    },
  };
}

function fieldsOf({ request: { name, group, members }, token, nodes, phaseMs }: RoundStory) {
  const phases = Object.fromEntries([...phaseMs].map(([phase, ms]) => [phase, Math.round(ms * 10) / 10]));
  return { round: token, name, group: group?.id, nodes, members: members.length, phaseMs: phases };
}
