/**
 * Every order of events of two coordinators that make the same group over a few nodes, explored: messages lost, late or
 * answered in vain, processes that die or stop, leases that end. docs/consistency.md says how far this goes. The nodes and the coordinators decide by the functions that the
 * driver runs (`src/fence/round-state.ts`, `src/fence/phases.ts`).
 */
import { describe, expect, test } from '@jest/globals';
import { explore, wander } from './model/explore.ts';
import { HOME } from './model/node.ts';
import type { Setting } from './model/world.ts';

const THREE = { nodes: ['a', 'b', 'c'], coordinators: 2 } as const;
const TWO = { nodes: ['a', 'b'], coordinators: 2 } as const;

describe('a group over several nodes, made by several coordinators', () => {
  test.each<Setting>([
    { ...THREE, faults: 0 },
    { ...THREE, faults: 1 },
    { ...THREE, faults: 1, unfenced: 'b' },
    { ...TWO, faults: 2 },
  ])('is cut at one moment, whole or absent, whatever happens: %j', (setting) => {
    const { states, endings, violation } = explore(setting);
    expect(violation).toBeUndefined();
    expect(endings).toBeGreaterThan(0);
    expect(states).toBeGreaterThan(1000);
  });

  test.each<Setting>([
    { ...THREE, faults: 4 },
    { ...THREE, faults: 8 },
    { ...THREE, faults: 4, unfenced: HOME },
  ])('also on long ways: %j', (setting) => {
    const { endings, violation } = wander(setting, 3000);
    expect(violation).toBeUndefined();
    expect(endings).toBeGreaterThan(1000);
  });

  test.each<[Setting, RegExp]>([
    [{ ...THREE, faults: 1, sabotage: 'forget-sealed' }, /part of it is gone/],
    [{ ...THREE, faults: 0, sabotage: 'no-barrier' }, /not cut at one moment/],
    [{ ...THREE, faults: 1, sabotage: 'gives-way' }, /part of it is gone/],
    [{ ...THREE, faults: 1, sabotage: 'sign-begins' }, /begun again/],
  ])('the exploration finds what is wrong: %j', (setting, expected) => {
    expect(explore(setting).violation).toMatch(expected);
  });
});
