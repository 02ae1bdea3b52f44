/**
 * The states of a round on one node, as pure functions: `NodeRounds` asks them before every step, and
 * `test/unit/fence/model.test.ts` walks through everything they allow.
 *
 *     wait                            wait          wait
 *     ┌──┐                            ┌──┐          ┌──┐
 *   prepared ─freeze─▶ frozen ─cut─▶ cutting ─seal─▶ sealed ─commit─▶ committed
 *      └──────────┴──────────┴──────────┴─abort─▶ aborted ◀─ expire: of what is prepared or frozen. A cut looks at its
 *                                                             lease itself, and once it is sealed nothing is frozen.
 */
import type { Decision, RoundToken } from '../core/round.ts';

export type NodeRoundState = 'prepared' | 'frozen' | 'cutting' | 'sealed' | 'committed' | 'aborted';
/** `wait`: the coordinator lives, and others are still being prepared, or sealed. */
export type NodeRoundEvent = 'wait' | 'freeze' | 'cut' | 'seal' | 'commit' | 'abort' | 'expire';

const TRANSITIONS: Record<NodeRoundState, Partial<Record<NodeRoundEvent, NodeRoundState>>> = {
  prepared: { wait: 'prepared', freeze: 'frozen', abort: 'aborted', expire: 'aborted' },
  frozen: { cut: 'cutting', abort: 'aborted', expire: 'aborted' },
  cutting: { wait: 'cutting', seal: 'sealed', abort: 'aborted', expire: 'cutting' },
  sealed: { wait: 'sealed', commit: 'committed', abort: 'aborted', expire: 'sealed' },
  committed: { commit: 'committed', expire: 'committed' },
  aborted: { abort: 'aborted', expire: 'aborted' },
};

/** The state after the event; undefined when the event is not allowed in this state. */
export function nextState(state: NodeRoundState, event: NodeRoundEvent): NodeRoundState | undefined {
  return TRANSITIONS[state][event];
}

/**
 * Whether a node does what it is told about a round.
 * @param state in this process; undefined: not known here. Then the pool has it sealed, or there is nothing to commit or
 *   to abort
 * @param committed the pool says so: true whatever this process takes the round for
 */
export function obeys(command: 'commit' | 'abort', state: NodeRoundState | undefined, committed: boolean): boolean {
  if (committed) return command === 'commit';
  return state === undefined || nextState(state, command) !== undefined;
}

/**
 * Whether a node aborts a round by itself when its time is over.
 * @param lone it is of this node alone, so that no home decides over it
 */
export function isGivenUp(state: NodeRoundState, lone: boolean): boolean {
  return state === 'sealed' ? lone : nextState(state, 'expire') === 'aborted';
}

/** Whether a node that is stopping undoes a round. What is sealed it keeps: the home may have committed. */
export function isUndoneAtStop(state: NodeRoundState): boolean {
  return state !== 'sealed' && nextState(state, 'abort') !== undefined;
}

/** The state of other rounds of a group that a node has, in memory or on disk. */
export type EarlierRound = Readonly<{ token: RoundToken; state: NodeRoundState }>;

/**
 * Why a new round of a group may not begin on a node; undefined: it may. Nothing gives way to it: what an earlier round
 * left is settled first, by its home (`settle`). A round that let others go by itself could be one that comes late.
 */
export function refusal(committed: boolean, earlier: readonly EarlierRound[]): string | undefined {
  if (committed) return 'the group was committed meanwhile';
  const alive = earlier.find(({ state }) => state !== 'aborted');
  return alive && `round ${alive.token} of the same group is ${alive.state}`;
}

/**
 * What the home of a group says of a round to somebody who does not lead it.
 * @param state of the round at its home; undefined: not known there, so it can't be committed any more
 * @param overdue it has waited for so long that its coordinator must be taken for dead
 */
export function settle(state: NodeRoundState | undefined, committed: boolean, overdue: boolean): Decision {
  if (committed) return 'committed';
  if (state === undefined || state === 'aborted') return 'aborted';
  // What is stopped has its lease.
  return overdue && (state === 'prepared' || state === 'sealed') ? 'aborted' : 'pending';
}
