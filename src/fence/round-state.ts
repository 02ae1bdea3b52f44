/**
 * The states of a round on one node, as a pure machine: `NodeRounds` asks it before every step, and tests walk through
 * all of it.
 *
 *   prepared ─freeze─▶ frozen ─cut─▶ sealed ─commit─▶ committed
 *      └──────────┴──────────┴─abort / expire─▶ aborted        (a sealed cut does not expire: nothing is frozen any more)
 */
export type NodeRoundState = 'prepared' | 'frozen' | 'sealed' | 'committed' | 'aborted';
export type NodeRoundEvent = 'freeze' | 'cut' | 'commit' | 'abort' | 'expire';

const TRANSITIONS: Record<NodeRoundState, Partial<Record<NodeRoundEvent, NodeRoundState>>> = {
  prepared: { freeze: 'frozen', abort: 'aborted', expire: 'aborted' },
  frozen: { cut: 'sealed', abort: 'aborted', expire: 'aborted' },
  sealed: { commit: 'committed', abort: 'aborted', expire: 'sealed' },
  committed: { commit: 'committed', expire: 'committed' },
  aborted: { abort: 'aborted', expire: 'aborted' },
};

/** The state after the event; undefined when the event is not allowed in this state. */
export function nextState(state: NodeRoundState, event: NodeRoundEvent): NodeRoundState | undefined {
  return TRANSITIONS[state][event];
}
