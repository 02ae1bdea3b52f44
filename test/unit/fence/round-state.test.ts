import { describe, expect, test } from '@jest/globals';
import type { Decision } from '../../../src/core/round.ts';
import {
  type EarlierRound,
  isGivenUp,
  isUndoneAtStop,
  type NodeRoundEvent,
  type NodeRoundState,
  nextState,
  obeys,
  refusal,
  settle,
} from '../../../src/fence/round-state.ts';

const STATES: readonly NodeRoundState[] = ['prepared', 'frozen', 'cutting', 'sealed', 'committed', 'aborted'];
const EVENTS: readonly NodeRoundEvent[] = ['wait', 'freeze', 'cut', 'seal', 'commit', 'abort', 'expire'];

/** The whole machine, written down a second time; `-` is refused. */
const EXPECTED = `
             wait      freeze   cut      seal    commit     abort    expire
  prepared   prepared  frozen   -        -       -          aborted  aborted
  frozen     -         -        cutting  -       -          aborted  aborted
  cutting    cutting   -        -        sealed  -          aborted  cutting
  sealed     sealed    -        -        -       committed  aborted  sealed
  committed  -         -        -        -       committed  -        committed
  aborted    -         -        -        -       -          aborted  aborted
`;

function table(): ReadonlyMap<string, string> {
  const [head = [], ...rows] = EXPECTED.trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return new Map(
    rows.flatMap(([state, ...cells]) => cells.map((next, i): [string, string] => [`${state} ${head[i]}`, next])),
  );
}

/** Every sequence of events of this length, with the states it passes through. */
function* walks(length: number): Generator<{ readonly events: NodeRoundEvent[]; readonly states: NodeRoundState[] }> {
  if (length === 0) {
    yield { events: [], states: ['prepared'] };
    return;
  }
  for (const { events, states } of walks(length - 1)) {
    const state = states.at(-1) ?? 'prepared';
    // An event that is refused changes nothing.
    for (const event of EVENTS) {
      yield { events: [...events, event], states: [...states, nextState(state, event) ?? state] };
    }
  }
}

describe('a round on one node', () => {
  test.each(STATES.flatMap((state) => EVENTS.map((event) => [state, event] as const)))('%s, %s', (state, event) => {
    expect(nextState(state, event) ?? '-').toBe(table().get(`${state} ${event}`));
  });

  test('is committed only after prepare, freeze, cut and seal, in this order, and nothing undoes it', () => {
    let committed = 0;
    for (const { events, states } of walks(6)) {
      const at = states.indexOf('committed');
      if (at < 0) continue;
      committed++;
      expect(states.slice(0, at).filter((state, i) => state !== states[i - 1])).toEqual([
        'prepared',
        'frozen',
        'cutting',
        'sealed',
      ]);
      expect(events.slice(0, at).filter((event) => event === 'abort')).toEqual([]);
      expect(new Set(states.slice(at))).toEqual(new Set(['committed']));
    }
    expect(committed).toBeGreaterThan(0);
  });

  test('once aborted stays aborted', () => {
    for (const { states } of walks(5)) {
      const at = states.indexOf('aborted');
      if (at >= 0) expect(new Set(states.slice(at))).toEqual(new Set(['aborted']));
    }
  });

  test('does not expire once it is sealed: nothing is frozen any more, and the coordinator decides', () => {
    for (const { events, states } of walks(5)) {
      for (const [i, event] of events.entries()) {
        if (event === 'expire' && states[i] === 'sealed') expect(states[i + 1]).toBe('sealed');
      }
    }
  });
});

describe('a node', () => {
  const all = [undefined, ...STATES];

  test('commits what is sealed, what its pool may have sealed, and again what is committed', () => {
    expect(all.filter((state) => obeys('commit', state, false))).toEqual([undefined, 'sealed', 'committed']);
    expect(all.filter((state) => obeys('commit', state, true))).toEqual(all);
  });

  test('aborts whatever is not committed, and nothing that is, however it takes it for', () => {
    expect(all.filter((state) => obeys('abort', state, false))).toEqual(all.filter((state) => state !== 'committed'));
    expect(all.filter((state) => obeys('abort', state, true))).toEqual([]);
  });

  test('gives up by itself what was not cut, and what is sealed only when nobody else decides over it', () => {
    const notCut: readonly NodeRoundState[] = ['prepared', 'frozen', 'aborted'];
    expect(STATES.filter((state) => isGivenUp(state, false))).toEqual(notCut);
    expect(STATES.filter((state) => isGivenUp(state, true))).toEqual(['prepared', 'frozen', 'sealed', 'aborted']);
  });

  test('that stops keeps what is sealed or committed, and nothing else', () => {
    expect(STATES.filter((state) => !isUndoneAtStop(state))).toEqual(['sealed', 'committed']);
  });
});

describe('a new round of a group', () => {
  const earlier = (state: NodeRoundState): EarlierRound => ({ token: 'r', state });

  test('is refused where the group is committed', () => {
    expect(refusal(true, [])).toMatch('committed');
  });

  test.each(['prepared', 'frozen', 'cutting', 'sealed', 'committed'] as const)('waits for one that is %s', (state) => {
    expect(refusal(false, [earlier('aborted'), earlier(state)])).toMatch(state);
  });

  test('begins where nothing is left of others', () => {
    expect(refusal(false, [earlier('aborted')])).toBeUndefined();
  });
});

describe('the home says to a stranger', () => {
  test.each<[NodeRoundState | undefined, 'in time' | 'overdue', Decision]>([
    [undefined, 'in time', 'aborted'],
    ['aborted', 'in time', 'aborted'],
    ['prepared', 'in time', 'pending'],
    ['prepared', 'overdue', 'aborted'],
    ['frozen', 'overdue', 'pending'],
    ['cutting', 'overdue', 'pending'],
    ['sealed', 'in time', 'pending'],
    ['sealed', 'overdue', 'aborted'],
    ['committed', 'overdue', 'pending'],
  ])('of a round that is %s, %s: %s', (state, when, decision) => {
    expect(settle(state, false, when === 'overdue')).toBe(decision);
    expect(settle(state, true, when === 'overdue')).toBe('committed');
  });
});
