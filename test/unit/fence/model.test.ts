/**
 * Every order of events of two coordinators that make the same group over three nodes, explored: messages lost, late or
 * answered in vain, processes that die, leases that end. The nodes and the coordinators decide by the functions that the
 * driver runs (`src/fence/round-state.ts`, `src/fence/phases.ts`).
 */
import { describe, expect, test } from '@jest/globals';
import { Random } from '../../../src/prove/random.ts';
import { isOver } from './model/coordinator.ts';
import { HOME, NODES } from './model/node.ts';
import { initial, type Setting, successors, type World } from './model/world.ts';

interface Found {
  readonly states: number;
  readonly endings: number;
  /** The first that was found, and the state it was found in. */
  readonly violation?: string;
}

/** Every state that can be reached. */
function explore(setting: Setting): Found {
  const seen = new Set<number>();
  const open: World[] = [initial(setting)];
  let endings = 0;
  for (let world = open.pop(); world !== undefined; world = open.pop()) {
    const { next, violation, ended } = look(world, setting);
    if (violation !== undefined) return { states: seen.size, endings, violation };
    if (ended) endings++;
    for (const each of next) {
      const key = fingerprint(stringify(each));
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(each);
    }
  }
  return { states: seen.size, endings };
}

/** Walks that take any turn: far into what is too much to be explored. */
function wander(setting: Setting, walks: number): Found {
  const random = new Random(setting.faults);
  let [states, endings] = [0, 0];
  for (let walk = 0; walk < walks; walk++) {
    for (let world: World | undefined = initial(setting); world !== undefined; states++) {
      const { next, violation, ended } = look(world, setting);
      if (violation !== undefined) return { states, endings, violation };
      if (ended) endings++;
      world = next[random.below(Math.max(1, next.length))];
    }
  }
  return { states, endings };
}

function look(world: World, setting: Setting) {
  const all = [...successors(world, setting)];
  const ended = all.every(({ faulty }) => faulty);
  const violation = violationIn(world) ?? (ended ? leftIn(world) : undefined);
  return { next: all.map(({ next }) => next), ended, violation: violation && `${violation}: ${stringify(world)}` };
}

// Jest makes every look at a global slow.
const { imul } = Math;
const { stringify } = JSON;

/** 53 bits: two of a million states are told apart but for one chance in ten thousand. */
function fingerprint(text: string): number {
  let [high, low] = [0x811c9dc5, 0x1234567];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = imul(high ^ code, 0x01000193);
    low = imul(low + code, 0x85ebca6b) ^ (low >>> 13);
  }
  return (high >>> 0) * 2 ** 21 + ((low >>> 0) & 0x1fffff);
}

/** What must hold always. */
function violationIn({ nodes, coordinators, good }: World): string | undefined {
  const decided = nodes[HOME]?.committed ?? [];
  if (decided.length > 1) return 'two rounds were decided';
  for (const node of NODES) {
    const { committed = [], sealed = [] } = nodes[node] ?? {};
    if (committed.some((token) => !decided.includes(token))) return 'committed somewhere, and not decided';
    for (const token of decided) {
      if (!committed.includes(token) && !sealed.includes(token)) return 'decided, and a part of it is gone';
      if (!good.includes(`${token}@${node}`)) return 'decided, and not cut at one moment';
    }
  }
  for (const { step, token, about } of coordinators) {
    if (step === 'aborted' && decided.includes(token)) return 'told to be aborted, and decided';
    const whole = NODES.every((node) => nodes[node]?.committed.includes(about));
    if (step === 'committed' && !decided.includes(about)) return 'told to be committed, and not decided';
    if (step === 'committed' && about !== token && !whole) return 'a decided round was found and not finished';
  }
  return undefined;
}

/** What must hold when nothing happens any more: whole or absent, nothing stopped, nothing left. */
function leftIn({ nodes, coordinators }: World): string | undefined {
  if (coordinators.some(({ step }) => !isOver(step))) return 'a coordinator waits for ever';
  const decided = nodes[HOME]?.committed ?? [];
  for (const node of NODES) {
    const { rounds = {}, sealed = [], committed = [] } = nodes[node] ?? {};
    if (Object.values(rounds).some((state) => state !== 'sealed')) return 'something is still stopped';
    if (sealed.length > 0) return 'a part was left';
    if (committed.length !== decided.length) return 'half a group';
  }
  return undefined;
}

describe('a group over three nodes, made by two coordinators', () => {
  test.each<Setting>([{ faults: 0 }, { faults: 1 }, { faults: 1, unfenced: 'b' }])(
    'is cut at one moment, whole or absent, whatever happens: %j',
    (setting) => {
      const { states, endings, violation } = explore(setting);
      expect(violation).toBeUndefined();
      expect(endings).toBeGreaterThan(0);
      expect(states).toBeGreaterThan(1000);
    },
  );

  test.each<Setting>([{ faults: 4 }, { faults: 8 }, { faults: 4, unfenced: HOME }])(
    'also on long ways: %j',
    (setting) => {
      const { endings, violation } = wander(setting, 3000);
      expect(violation).toBeUndefined();
      expect(endings).toBeGreaterThan(1000);
    },
  );

  test.each<[Setting, RegExp]>([
    [{ faults: 1, sabotage: 'forget-sealed' }, /part of it is gone/],
    [{ faults: 0, sabotage: 'no-barrier' }, /not cut at one moment/],
    [{ faults: 1, sabotage: 'gives-way' }, /part of it is gone/],
  ])('the exploration finds what is wrong: %j', (setting, expected) => {
    expect(explore(setting).violation).toMatch(expected);
  });
});
