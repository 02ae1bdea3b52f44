/**
 * What the coordinator of a round asks whom, and what follows from the answers, as pure functions: `LedRound` runs them,
 * and `test/unit/fence/model.test.ts` explores them together with the states of the nodes.
 *
 *   prepare-home ▶ prepare ▶ freeze ▶ (barrier) ▶ cut-unfenced ▶ cut ▶ decide ▶ commit ▶ committed
 *        └────────────┴─────────┴──────────────────────┴──────────┴─▶ abort      │
 *                                                                       │        ▼     it was decided after all
 *                                                              aborted ◀┴─── withdraw ─────────▶ confirm ▶ committed
 *                                                                                └─▶ undecided
 *
 * The home's commit is the decision: `decide`. As long as it was not asked for, any failure aborts everywhere. Once it was,
 * only the home can say what is true: `withdraw` asks it to abort.
 */
import type { NodeName } from '../core/ids.ts';

export type Phase =
  | 'prepare-home'
  | 'prepare'
  | 'freeze'
  | 'cut-unfenced'
  | 'cut'
  | 'decide'
  | 'commit'
  | 'confirm'
  | 'abort'
  | 'withdraw';

/** `undecided`: the home can't be reached; whoever calls again finds out. `committed` may be unfinished elsewhere. */
export type Ending = 'committed' | 'aborted' | 'undecided';

/** `unknown`: no answer came, so it may have been done or not. */
export type Answer = 'done' | 'refused' | 'unknown';

export interface Roles {
  readonly home: NodeName;
  readonly others: readonly NodeName[];
  /** Where the one member is that can't be stopped, when there is one: known once all have prepared. */
  readonly unfenced?: NodeName;
}

export const FIRST_PHASE: Phase = 'prepare-home';

/** Who is asked in a phase, all at once. Nobody: the phase is over at once. */
export function askedIn(phase: Phase, { home, others, unfenced }: Roles): readonly NodeName[] {
  switch (phase) {
    case 'prepare-home':
    case 'decide':
    case 'withdraw':
      return [home];
    case 'prepare':
    case 'commit':
      return others;
    case 'freeze':
    case 'confirm':
    case 'abort':
      return [home, ...others];
    // Its cut must lie before any thaw on any node: a write that depends on one made after a thaw must not get into it.
    case 'cut-unfenced':
      return unfenced === undefined ? [] : [unfenced];
    case 'cut':
      return [home, ...others].filter((node) => node !== unfenced);
  }
}

const AFTER_SUCCESS = {
  'prepare-home': 'prepare',
  prepare: 'freeze',
  freeze: 'cut-unfenced',
  'cut-unfenced': 'cut',
  cut: 'decide',
  decide: 'commit',
  commit: 'committed',
  confirm: 'committed',
  abort: 'aborted',
  withdraw: 'abort',
} as const satisfies Record<Phase, Phase | Ending>;

/** What comes after a phase, from the answers of all that were asked in it. */
export function after(phase: Phase, answers: readonly Answer[]): Phase | Ending {
  if (answers.every((answer) => answer === 'done')) return AFTER_SUCCESS[phase];
  switch (phase) {
    case 'decide':
      return 'withdraw';
    case 'withdraw':
      // The home refuses to abort what it has committed.
      return answers.includes('refused') ? 'confirm' : 'undecided';
    // Decided: whoever calls next finishes it.
    case 'commit':
    case 'confirm':
      return 'committed';
    // A node that can't be reached aborts by itself: its lease ends, and its home has aborted or never heard of it.
    case 'abort':
      return 'aborted';
    default:
      return 'abort';
  }
}

export function isEnding(phase: Phase | Ending): phase is Ending {
  return phase === 'committed' || phase === 'aborted' || phase === 'undecided';
}
