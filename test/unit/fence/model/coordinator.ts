/** A coordinator of the model: `GroupService.create`, then a round by the phases of `src/fence/phases.ts`. */
import type { NodeName } from '../../../../src/core/ids.ts';
import type { RoundToken } from '../../../../src/core/round.ts';
import { type Answer, after, askedIn, type Ending, FIRST_PHASE, type Phase } from '../../../../src/fence/phases.ts';
import { HOME, inOrder, type Operation, type Reply } from './node.ts';

export type Step = 'find' | 'finish' | Phase | Ending | 'failed' | 'dead';

export interface CoordinatorState {
  /** Of its own round. */
  readonly token: RoundToken;
  /** Of the round that its messages are about: its own, or one that it found decided. */
  readonly about: RoundToken;
  readonly step: Step;
  readonly waitingFor: readonly NodeName[];
  /** Those that came, each once. */
  readonly answers: readonly Answer[];
  /** Where the member is that can't be stopped, once it is known. */
  readonly unfenced?: NodeName;
}

const OPERATIONS: Record<Phase | 'find' | 'finish', Operation> = {
  find: 'find',
  finish: 'commit',
  'prepare-home': 'prepare',
  prepare: 'prepare',
  freeze: 'freeze',
  'cut-unfenced': 'cut',
  cut: 'cut',
  decide: 'commit',
  commit: 'commit',
  confirm: 'commit',
  abort: 'abort',
  withdraw: 'abort',
};

export function started(token: RoundToken): CoordinatorState {
  return { token, about: token, step: 'find', waitingFor: [HOME], answers: [] };
}

export function isOver(step: Step): step is Ending | 'failed' | 'dead' {
  return !(step in OPERATIONS);
}

export function operationOf(step: Step): Operation {
  return OPERATIONS[step as keyof typeof OPERATIONS];
}

/** An answer has come, or will never come. @param unfenced the node that turns out to have such a member */
export function answered(
  state: CoordinatorState,
  node: NodeName,
  reply: Reply | 'unknown',
  others: readonly NodeName[],
  unfenced: NodeName | undefined,
): CoordinatorState {
  const waitingFor = state.waitingFor.filter((each) => each !== node);
  if (state.step === 'find') {
    if (typeof reply !== 'object') return { ...state, step: 'failed', waitingFor: [] };
    return reply.found === undefined
      ? entered(state, FIRST_PHASE, others)
      : { ...state, about: reply.found, step: 'finish', waitingFor: others, answers: [] };
  }
  // A node refuses to abort only what it has committed; every other failure of it means nothing.
  const answer = typeof reply === 'object' ? 'refused' : reply;
  const answers = inOrder([...state.answers, answer]);
  if (waitingFor.length > 0) return { ...state, waitingFor, answers };
  if (state.step === 'finish') {
    return { ...state, step: answers.every((each) => each === 'done') ? 'committed' : 'failed', waitingFor, answers };
  }
  const known = state.step === 'prepare' && unfenced !== undefined ? { ...state, unfenced } : state;
  return entered(known, after(state.step as Phase, answers), others);
}

/** Through phases in which nobody is asked. */
function entered(state: CoordinatorState, step: Phase | Ending, others: readonly NodeName[]): CoordinatorState {
  if (isOver(step)) return { ...state, step, waitingFor: [], answers: [] };
  const { unfenced } = state;
  const waitingFor = askedIn(step, { home: HOME, others, ...(unfenced !== undefined && { unfenced }) });
  return waitingFor.length > 0 ? { ...state, step, waitingFor, answers: [] } : entered(state, after(step, []), others);
}
