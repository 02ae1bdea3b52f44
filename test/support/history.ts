/**
 * Whether what callers saw can be explained: whether there is an order of the operations on one thing, each taking effect
 * at one instant between its call and its answer, in which every answer is right (linearizability).
 */

export interface Operation<S> {
  /** For the message. */
  readonly what: string;
  /** Moments on one clock that counts up: of the call, and of its answer. */
  readonly called: number;
  readonly answered: number;
  /** The states that it may leave when it takes effect in this one; none: its answer is wrong in this one. */
  readonly effect: (state: S) => readonly S[];
  /** Its answer was lost: it may not have taken effect. */
  readonly lost?: true;
}

/** One way in which everything until now may have happened. */
interface Explanation<S> {
  readonly state: S;
  /** Operations that have taken effect, and whose answer is still to come. */
  readonly done: ReadonlySet<number>;
}

/** Undefined when the operations can be explained; else what happened before the first answer that can't be. */
export function unexplained<S>(initial: S, operations: readonly Operation<S>[]): string | undefined {
  let explanations: readonly Explanation<S>[] = [{ state: initial, done: new Set() }];
  const pending = new Set<number>();
  for (const { index, isAnswer } of eventsOf(operations)) {
    if (!isAnswer) {
      pending.add(index);
      continue;
    }
    const possible = explore(operations, explanations, pending);
    const isLost = operations[index]?.lost ?? false;
    const right = possible.filter(({ done }) => isLost || done.has(index));
    if (right.length === 0) return describe(operations, index, explanations, pending);
    pending.delete(index);
    explanations = unique(right.map(({ state, done }) => ({ state, done: without(done, index) })));
  }
  return undefined;
}

/** Everything that may have happened by now: any of the pending operations, in any order. */
function explore<S>(
  operations: readonly Operation<S>[],
  from: readonly Explanation<S>[],
  pending: ReadonlySet<number>,
): readonly Explanation<S>[] {
  const found = new Map(from.map((explanation) => [keyOf(explanation), explanation]));
  const open = [...from];
  for (let next = open.pop(); next; next = open.pop()) {
    for (const index of pending) {
      if (next.done.has(index)) continue;
      for (const state of operations[index]?.effect(next.state) ?? []) {
        const explanation = { state, done: new Set([...next.done, index]) };
        const key = keyOf(explanation);
        if (found.has(key)) continue;
        found.set(key, explanation);
        open.push(explanation);
      }
    }
  }
  return [...found.values()];
}

function eventsOf<S>(operations: readonly Operation<S>[]): readonly { index: number; isAnswer: boolean }[] {
  return operations
    .flatMap(({ called, answered }, index) => [
      { at: called, index, isAnswer: false },
      { at: answered, index, isAnswer: true },
    ])
    .toSorted((a, b) => a.at - b.at);
}

function unique<S>(explanations: readonly Explanation<S>[]): readonly Explanation<S>[] {
  return [...new Map(explanations.map((explanation) => [keyOf(explanation), explanation])).values()];
}

function keyOf<S>({ state, done }: Explanation<S>): string {
  return `${JSON.stringify(state)} ${[...done].toSorted((a, b) => a - b).join(' ')}`;
}

function without(set: ReadonlySet<number>, index: number): ReadonlySet<number> {
  return new Set([...set].filter((each) => each !== index));
}

const SHOWN = 12;

function describe<S>(
  operations: readonly Operation<S>[],
  index: number,
  explanations: readonly Explanation<S>[],
  pending: ReadonlySet<number>,
): string {
  const wrong = operations[index];
  const before = operations
    .filter(({ answered }) => answered < (wrong?.answered ?? 0))
    .toSorted((a, b) => a.answered - b.answered)
    .slice(-SHOWN);
  const line = ({ what, called, answered, lost }: Operation<S>) =>
    `  ${called}..${answered}${lost ? ' lost' : ''}: ${what}`;
  const unanswered = [...pending].filter((each) => each !== index).map((each) => operations[each]);
  return [
    `can't be: ${wrong?.what}`,
    `after:`,
    ...before.map(line),
    `meanwhile:`,
    ...unanswered.filter((each) => each !== undefined).map(line),
    `it was then: ${explanations.map(({ state }) => JSON.stringify(state) ?? 'absent').join(' or ')}`,
  ].join('\n');
}
