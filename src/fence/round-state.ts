/**
 * The states of a round on one node, as pure functions: `NodeRounds` asks them before every step, and
 * `test/unit/fence/model.test.ts` walks through everything they allow.
 *
 *   prepared ─freeze─▶ frozen ─cut─▶ cutting ─seal─▶ sealed ─commit─▶ committed
 *      └──────────┴──────────┴──────────┴─abort─▶ aborted ◀─ expire: of what is prepared or frozen. A cut looks at its
 *                                                             lease itself, and once it is sealed nothing is frozen.
 */
import type { RoundToken } from '../core/round.ts';

export type NodeRoundState = 'prepared' | 'frozen' | 'cutting' | 'sealed' | 'committed' | 'aborted';
export type NodeRoundEvent = 'freeze' | 'cut' | 'seal' | 'commit' | 'abort' | 'expire';

const TRANSITIONS: Record<NodeRoundState, Partial<Record<NodeRoundEvent, NodeRoundState>>> = {
  prepared: { freeze: 'frozen', abort: 'aborted', expire: 'aborted' },
  frozen: { cut: 'cutting', abort: 'aborted', expire: 'aborted' },
  cutting: { seal: 'sealed', abort: 'aborted', expire: 'cutting' },
  sealed: { commit: 'committed', abort: 'aborted', expire: 'sealed' },
  committed: { commit: 'committed', expire: 'committed' },
  aborted: { abort: 'aborted', expire: 'aborted' },
};

/** The state after the event; undefined when the event is not allowed in this state. */
export function nextState(state: NodeRoundState, event: NodeRoundEvent): NodeRoundState | undefined {
  return TRANSITIONS[state][event];
}

/** What a node has of other rounds of a group when a new one asks to begin. */
export interface GroupOnNode {
  /** This node is the group's home: what it commits is decided. */
  readonly home: boolean;
  /** The group is committed here. */
  readonly committed: boolean;
  readonly earlier: readonly EarlierRound[];
}

export interface EarlierRound {
  readonly token: RoundToken;
  readonly state: NodeRoundState;
  /** It has been sealed for so long that its coordinator must be taken for dead. */
  readonly overdue: boolean;
}

export type Admission =
  | { readonly kind: 'admitted'; readonly displaced: readonly RoundToken[] }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Whether a new round of a group may begin on a node, and which earlier ones it displaces (docs/adr/0005-many-nodes.md).
 * At home an earlier round is displaced only when its coordinator is overdue. Elsewhere it is displaced at once: the new
 * round was admitted at home before, so nothing earlier can be committed there any more.
 */
export function admit({ home, committed, earlier }: GroupOnNode): Admission {
  if (committed) return { kind: 'refused', reason: 'the group was committed meanwhile' };
  const alive = earlier.filter(({ state }) => state !== 'aborted');
  const busy = alive.find(({ state, overdue }) => state !== 'sealed' || (home && !overdue));
  if (busy) return { kind: 'refused', reason: `round ${busy.token} of the same group is still under way` };
  return { kind: 'admitted', displaced: alive.map(({ token }) => token) };
}
