/** Goes through the states of the model: all of them, or on long ways by chance. */
import { Random } from '../../../../src/prove/random.ts';
import { leftIn, violationIn } from './invariants.ts';
import { initial, type Setting, successors, type World } from './world.ts';

interface Found {
  readonly states: number;
  readonly endings: number;
  /** The first that was found, and the state it was found in. */
  readonly violation?: string;
}

/** Every state that can be reached. */
export function explore(setting: Setting): Found {
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
export function wander(setting: Setting, walks: number): Found {
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
  const violation = violationIn(world, setting) ?? (ended ? leftIn(world, setting) : undefined);
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
