/** A node of the model: what `NodeRounds` and a backend do with the rounds of one group, by the same pure functions. */
import { groupId, type NodeName, volumeId } from '../../../../src/core/ids.ts';
import { type Decision, isDecidedElsewhere, type RoundToken } from '../../../../src/core/round.ts';
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
} from '../../../../src/fence/round-state.ts';

export const HOME = 'a';
const GROUP = { id: groupId(HOME, 'g'), name: 'g', volumeIds: [volumeId(HOME, 'v')], parameters: {} };

export type Operation = 'find' | 'prepare' | 'wait' | 'freeze' | 'cut' | 'commit' | 'abort';
/** `find` answers the token that is committed. */
export type Reply = 'done' | 'refused' | { readonly found: RoundToken | undefined };

/** Everything is replaced, never changed in place, so that states of the model can be kept. */
export interface NodeState {
  /** In memory: gone after a crash. */
  readonly rounds: Readonly<Record<RoundToken, NodeRoundState>>;
  readonly ended: readonly RoundToken[];
  /** On disk; in memory a cut that is being sealed is still `cutting`. */
  readonly sealed: readonly RoundToken[];
  readonly committed: readonly RoundToken[];
  /** It has undone what it undoes when it stops, and will start again. */
  readonly stopping?: true;
}

export const BLANK: NodeState = { rounds: {}, ended: [], sealed: [], committed: [] };

/** What a node has done when it has been told to stop; calls under way may still come to it. */
export function stopped(state: NodeState): NodeState {
  const undone = Object.entries(state.rounds).filter(([, round]) => isUndoneAtStop(round));
  const left = undone.reduce((each, [token]) => aborted(each, token), state);
  return { ...left, rounds: {}, ended: inOrder([...left.ended, ...Object.keys(left.rounds)]), stopping: true };
}

/** What a node still has that has died, or has stopped, and starts again. */
export function restarted(node: NodeName, { sealed, committed }: NodeState): NodeState {
  return { ...BLANK, committed, sealed: isDecidedElsewhere(GROUP, node) ? sealed : [] };
}

export function carryOut(
  state: NodeState,
  operation: Operation,
  token: RoundToken,
): { readonly state: NodeState; readonly reply: Reply } {
  const refused = { state, reply: 'refused' as const };
  switch (operation) {
    case 'find':
      return { state, reply: { found: state.committed[0] } };
    case 'prepare':
      return prepare(state, token) ?? refused;
    case 'wait':
    case 'freeze':
    case 'cut': {
      const moved = move(state, token, operation);
      return moved ? { state: moved, reply: 'done' } : refused;
    }
    case 'commit':
      return commit(state, token) ?? refused;
    case 'abort':
      return mayBe('abort', state, token) ? { state: aborted(state, token), reply: 'done' } : refused;
  }
}

/** A cut that was begun goes on: first its snapshot is durable, then the node knows, and can say so. */
export function sealOn(state: NodeState, token: RoundToken): NodeState {
  const moved = move(state, token, 'seal');
  if (!moved) return state;
  return state.sealed.includes(token) ? moved : { ...state, sealed: inOrder([...state.sealed, token]) };
}

export function canExpire(state: NodeState, token: RoundToken): boolean {
  const round = state.rounds[token];
  return round !== undefined && isGivenUp(round, false);
}

export function aborted(state: NodeState, token: RoundToken): NodeState {
  const { [token]: _gone, ...rounds } = state.rounds;
  const sealed = state.sealed.filter((each) => each !== token);
  return { ...state, rounds, sealed, ended: inOrder([...state.ended, token]) };
}

/** To somebody who does not lead the round. */
export function settled(
  state: NodeState,
  token: RoundToken,
  overdue: boolean,
): { readonly state: NodeState; readonly decision: Decision } {
  const decision = settle(state.rounds[token], state.committed.includes(token), overdue);
  return { state: decision === 'aborted' ? aborted(state, token) : state, decision };
}

function prepare(state: NodeState, token: RoundToken) {
  if (state.ended.includes(token) || state.rounds[token]) return undefined;
  // The locks of the members.
  if (Object.values(state.rounds).some((round) => ['prepared', 'frozen', 'cutting'].includes(round))) return undefined;
  const onDisk = state.sealed.map((each): EarlierRound => ({ token: each, state: 'sealed' }));
  const inMemory = Object.entries(state.rounds).map(([each, round]): EarlierRound => ({ token: each, state: round }));
  if (refusal(state.committed.length > 0, [...onDisk, ...inMemory]) !== undefined) return undefined;
  return { state: { ...state, rounds: { ...state.rounds, [token]: 'prepared' as const } }, reply: 'done' as const };
}

function commit(state: NodeState, token: RoundToken) {
  if (!mayBe('commit', state, token)) return undefined;
  if (state.committed.includes(token)) return { state, reply: 'done' as const };
  // Of what the process does not know, the pool says whether it is sealed.
  if (!state.rounds[token] && !state.sealed.includes(token)) return undefined;
  const { sealed, ...rest } = aborted(state, token);
  return { state: { ...rest, sealed, committed: [...state.committed, token] }, reply: 'done' as const };
}

function mayBe(command: 'commit' | 'abort', { rounds, committed }: NodeState, token: RoundToken): boolean {
  return obeys(command, rounds[token], committed.includes(token));
}

function move(state: NodeState, token: RoundToken, event: NodeRoundEvent): NodeState | undefined {
  const round = state.rounds[token];
  const next = round && nextState(round, event);
  return next && { ...state, rounds: { ...state.rounds, [token]: next } };
}

/** Each once, in an order that does not depend on what came first: states that differ in nothing else are one. */
export function inOrder<T extends string>(items: readonly T[]): readonly T[] {
  return [...new Set(items)].toSorted((a, b) => (a < b ? -1 : 1));
}
