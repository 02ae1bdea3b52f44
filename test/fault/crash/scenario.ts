import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError, hasCode, messageOf } from '../../../src/core/errors.ts';
import type { Footprint } from '../../support/footprint.ts';
import type { World } from '../world.ts';

/**
 * What a look from outside shows after a crash at this point and a new start: nothing of the operation, or all of it.
 * `unseen` where only the node's mounts can tell.
 */
export type Outcome = 'absent' | 'present' | 'unseen';

/** An operation that passes failpoints, and that a CO repeats when it got no answer. */
export interface Scenario {
  readonly name: string;
  /** `name`, `name@pass`, or a whole list of what to arm, ending with the point in question. */
  readonly points: Readonly<Record<string, Outcome>>;
  prepare?(world: World): Promise<void>;
  act(world: World): Promise<unknown>;
  /** Takes the operation back, however far it came. */
  revert(world: World): Promise<void>;
  /** Takes `prepare` back. */
  cleanUp?(world: World): Promise<void>;
  /** What the services show of the thing that is made or removed; undefined when there is none. */
  peek?(world: World): Promise<unknown>;
  /** The answer of `act` is what `peek` shows. */
  readonly answersWithIt?: true;
  /** Work goes on after the answer: the process may die later than that. */
  readonly background?: true;
}

/** How a scenario goes when nothing happens, for comparison. */
export interface Reference {
  readonly before: Footprint;
  readonly answer: unknown;
  readonly after: Footprint;
}

/** The call of a CO that tries again what says to try again; a lease runs out on a machine that is slow enough. */
export async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const late = error instanceof DriverError && messageOf(error).includes('lease');
      if (!late || attempt === 5) throw error;
      await sleep(500);
    }
  }
}

/** As long as somebody else is at it: the call of a caller who went away may still go on. */
export async function outlast<T>(call: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + 60_000; ; ) {
    try {
      return await call();
    } catch (error) {
      if (!hasCode(error, 'aborted') || performance.now() > end) throw error;
      await sleep(10);
    }
  }
}

/** Without times, which differ from run to run. */
export function timeless(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? null, (key, value: unknown) => (key === 'creationTime' ? null : value)));
}

export async function prepareScenario(world: World, scenario: Scenario): Promise<Reference> {
  await scenario.prepare?.(world);
  const before = await world.footprint();
  const answer = await insist(() => scenario.act(world));
  const after = await world.footprint();
  await scenario.revert(world);
  await world.settled(before);
  return { before, answer: timeless(answer), after: { ...after, trash: 0 } };
}

/** `round.cut` of `round.frozen=fail:EIO,round.cut@2`. */
export function pointOf(spec: string): string {
  return (spec.split(',').at(-1) ?? '').replace(/[@=].*$/, '');
}

/** The list to arm: the last point does `action`. */
export function armed(spec: string, action: string): string {
  const [last = '', ...others] = spec.split(',').toReversed();
  const [name, pass] = last.split('@');
  return [...others.toReversed(), `${name}=${action}${pass === undefined ? '' : `@${pass}`}`].join(',');
}
