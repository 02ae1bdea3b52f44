/** Every ending of a round is one line and one count, of its own. */
import { expect, test } from '@jest/globals';
import { observeRounds } from '../../../src/app/round-observer.ts';
import { snapshotId, volumeId } from '../../../src/core/ids.ts';
import type { Logger, Metrics, RoundOutcome } from '../../../src/core/observe.ts';
import type { RoundObserver } from '../../../src/fence/coordinator.ts';
import type { RoundStory } from '../../../src/fence/led-round.ts';

const members = [{ volumeId: volumeId('a', 'v'), snapshotId: snapshotId('a', 's') }];
const story: RoundStory = {
  request: { name: 's', members, fenced: true },
  token: '0123456789abcdef',
  nodes: ['a'],
  phaseMs: new Map([['decide', 1]]),
};

const ENDINGS: readonly [keyof RoundObserver, (observer: RoundObserver) => void, RegExp][] = [
  ['committed', (observer) => observer.committed(story, [], 3), /^round committed$/],
  ['aborted', (observer) => observer.aborted(story, new Error('no')), /^round aborted$/],
  ['undecided', (observer) => observer.undecided(story, new Error('no')), /not known to be decided/],
  ['unfinished', (observer) => observer.unfinished(story, new Error('no')), /decided, and not finished/],
];

test.each(ENDINGS)('%s', (outcome, tell, expected) => {
  const lines: string[] = [];
  const outcomes: RoundOutcome[] = [];
  const line = (fields: object, message: string) => {
    expect(fields).toMatchObject({ round: story.token, nodes: ['a'], members: 1, phaseMs: { decide: 1 } });
    lines.push(message);
  };
  const logger: Logger = { debug: line, info: line, warn: line, error: line };
  tell(observeRounds(logger, { round: (each: RoundOutcome) => void outcomes.push(each) } as Metrics));
  expect(outcomes.map((each) => each.outcome)).toEqual([outcome]);
  expect(lines).toEqual([expect.stringMatching(expected)]);
});
