/** The states of the model and what can happen in each: messages in every order, lost, late, crashes and expiries. */
import type { NodeName } from '../../../../src/core/ids.ts';
import type { RoundToken } from '../../../../src/core/round.ts';
import { answered, type CoordinatorState, isOver, operationOf, started } from './coordinator.ts';
import {
  aborted,
  BLANK,
  canExpire,
  carryOut,
  HOME,
  inOrder,
  type NodeState,
  type Operation,
  type Reply,
  restarted,
  sealOn,
  settled,
  stopped,
} from './node.ts';

interface Message {
  readonly node: NodeName;
  readonly operation: Operation;
  readonly token: RoundToken;
}

/** The home of a sealed part was asked what is decided, and the part will follow: `fence/resolver.ts`. */
interface Resolving {
  readonly node: NodeName;
  readonly token: RoundToken;
  readonly committed: boolean;
}

export interface World {
  readonly nodes: Readonly<Record<NodeName, NodeState>>;
  readonly coordinators: readonly CoordinatorState[];
  /** Messages that nobody waits for any more; they may still arrive. */
  readonly late: readonly Message[];
  readonly resolving?: Resolving | undefined;
  /** What may still go wrong. */
  readonly faults: number;
  /** `token@node`: rounds that were begun, and those that were begun again: what was answered first may be true no more. */
  readonly begun: readonly string[];
  readonly begunAgain: readonly string[];
  /** Rounds in which every member was quiet at one moment. */
  readonly quiet: readonly RoundToken[];
  /** `token@node`: cuts that show that moment. */
  readonly good: readonly string[];
}

export interface Setting {
  readonly nodes: readonly NodeName[];
  /** Each makes the same group. */
  readonly coordinators: number;
  readonly faults: number;
  /** A node with a member that can't be stopped. */
  readonly unfenced?: NodeName;
  /** Test of the test: what is done otherwise than it should be. */
  readonly sabotage?: 'forget-sealed' | 'no-barrier' | 'gives-way' | 'sign-begins';
}

export function initial({ nodes, coordinators, faults }: Setting): World {
  return {
    nodes: Object.fromEntries(nodes.map((node) => [node, BLANK])),
    coordinators: Array.from({ length: coordinators }, (_, i) => started(String.fromCharCode(65 + i))),
    late: [],
    faults,
    begun: [],
    begunAgain: [],
    quiet: [],
    good: [],
  };
}

/** Every state that can come next. `faulty`: something went wrong on the way. */
export function* successors(
  world: World,
  setting: Setting,
): Generator<{ readonly next: World; readonly faulty: boolean }> {
  const fault = { ...world, faults: world.faults - 1 };
  const mayFail = world.faults > 0;
  for (const [i, coordinator] of world.coordinators.entries()) {
    for (const node of coordinator.waitingFor) {
      const message = { node, operation: operationOf(coordinator.step), token: coordinator.about };
      for (const { next, reply } of arrive(world, message, setting)) {
        yield { next: reply === undefined ? next : hear(next, i, node, reply, setting), faulty: false };
        if (mayFail) yield { next: hear({ ...next, faults: fault.faults }, i, node, 'unknown', setting), faulty: true };
      }
      if (!mayFail) continue;
      yield { next: hear(fault, i, node, 'unknown', setting), faulty: true };
      yield { next: hear({ ...fault, late: posted(fault.late, message) }, i, node, 'unknown', setting), faulty: true };
    }
    if (coordinator.step === 'prepare' || coordinator.step === 'cut') yield* showLife(world, coordinator, setting);
    if (mayFail && !isOver(coordinator.step)) {
      const { step, about, waitingFor } = coordinator;
      const sent = waitingFor.map((node) => ({ node, operation: operationOf(step), token: about }));
      const dead = withCoordinator(fault, i, { ...coordinator, step: 'dead', waitingFor: [] });
      yield { next: dead, faulty: true };
      yield { next: { ...dead, late: sent.reduce(posted, dead.late) }, faulty: true };
    }
  }
  for (const [i, message] of world.late.entries()) {
    const late = world.late.toSpliced(i, 1);
    for (const { next } of arrive({ ...world, late }, message, setting)) yield { next, faulty: false };
  }
  for (const node of setting.nodes) yield* ofNode(world, node, setting);
  yield* resolve(world, setting);
}

/** To those that have answered: nobody waits for what they say to it. */
function* showLife(
  world: World,
  { about, waitingFor }: CoordinatorState,
  setting: Setting,
): Generator<{ readonly next: World; readonly faulty: boolean }> {
  for (const node of setting.nodes) {
    if (waitingFor.includes(node)) continue;
    const sign: Message = { node, operation: 'wait', token: about };
    for (const { next } of arrive(world, sign, setting)) yield { next, faulty: false };
    if (world.faults === 0) continue;
    yield { next: { ...world, faults: world.faults - 1, late: posted(world.late, sign) }, faulty: true };
  }
}

function* ofNode(world: World, node: NodeName, setting: Setting): Generator<{ next: World; faulty: boolean }> {
  const state = world.nodes[node] ?? BLANK;
  for (const [token, round] of Object.entries(state.rounds)) {
    if (round === 'cutting') {
      yield { next: withNode(world, node, sealOn(state, token)), faulty: false };
      // It fails, or its lease has run out: the node aborts by itself.
      const failed = { ...withNode(world, node, aborted(state, token)), faults: world.faults - 1 };
      if (world.faults > 0) yield { next: failed, faulty: true };
    }
    if (!canExpire(state, token)) continue;
    // It expires by itself when nobody leads the round any more; else it is one of the things that go wrong.
    const led = world.coordinators.some(({ about, step }) => about === token && !isOver(step));
    if (led && world.faults === 0) continue;
    const next = withNode(world, node, aborted(state, token));
    yield { next: led ? { ...next, faults: world.faults - 1 } : next, faulty: led };
  }
  if (state.stopping) yield { next: withNode(world, node, restarted(node, state)), faulty: false };
  if (world.faults === 0 || state.stopping) return;
  const fewer = { ...world, faults: world.faults - 1 };
  yield { next: withNode(fewer, node, stopped(state)), faulty: true };
  const kept =
    setting.sabotage === 'forget-sealed' ? { ...restarted(node, state), sealed: [] } : restarted(node, state);
  yield { next: withNode(fewer, node, kept), faulty: true };
}

function* resolve(world: World, { nodes }: Setting): Generator<{ next: World; faulty: boolean }> {
  const { resolving } = world;
  if (resolving) {
    const { node, token, committed } = resolving;
    const state = world.nodes[node] ?? BLANK;
    const done = carryOut(state, committed ? 'commit' : 'abort', token);
    yield { next: { ...withNode(world, node, done.state), resolving: undefined }, faulty: false };
    return;
  }
  for (const node of nodes) {
    for (const token of world.nodes[node]?.sealed ?? []) {
      // Taken for dead although it lives: one of the things that go wrong.
      const led = world.coordinators.some(({ about, step }) => about === token && !isOver(step));
      if (led && world.faults === 0) continue;
      const { state, decision } = settled(world.nodes[HOME] ?? BLANK, token, true);
      if (decision === 'pending') continue;
      const next = { ...withNode(world, HOME, state), resolving: { node, token, committed: decision === 'committed' } };
      yield { next: led ? { ...next, faults: world.faults - 1 } : next, faulty: led };
    }
  }
}

/** A message arrives and is done; what is no answer yet has none. */
function* arrive(
  world: World,
  { node, operation, token }: Message,
  { nodes, unfenced, sabotage }: Setting,
): Generator<{ readonly next: World; readonly reply: Reply | undefined }> {
  const state = world.nodes[node] ?? BLANK;
  const round = state.rounds[token];
  if (operation === 'cut' && round === 'cutting') return;
  if (operation === 'cut' && round === 'sealed') {
    yield { next: world, reply: 'done' };
    return;
  }
  const cleared = operation === 'prepare' && sabotage === 'gives-way' ? state.sealed.reduce(aborted, state) : state;
  const asked = operation === 'wait' && sabotage === 'sign-begins' && !round ? 'prepare' : operation;
  const done = carryOut(node === HOME ? state : cleared, asked, token);
  let next = withNode(world, node, done.state);
  if (done.reply === 'done' && asked === 'prepare') next = begunOn(next, `${token}@${node}`);
  if (done.reply === 'done' && operation === 'freeze')
    next = { ...next, quiet: quietNow(next, token, nodes, unfenced) };
  const begun = operation === 'cut' && done.reply === 'done';
  if (begun && showsOneMoment(world, node, token, nodes, unfenced))
    next = { ...next, good: inOrder([...next.good, `${token}@${node}`]) };
  yield { next, reply: begun ? undefined : done.reply };
}

function begunOn(world: World, round: string): World {
  return world.begun.includes(round)
    ? { ...world, begunAgain: inOrder([...world.begunAgain, round]) }
    : { ...world, begun: inOrder([...world.begun, round]) };
}

function quietNow(
  { nodes, quiet }: World,
  token: RoundToken,
  members: readonly NodeName[],
  unfenced: NodeName | undefined,
): World['quiet'] {
  const all = members.every((node) => node === unfenced || nodes[node]?.rounds[token] === 'frozen');
  return all ? inOrder([...quiet, token]) : quiet;
}

/** What can't be stopped must be cut while all others stand still; what stands still has since that moment. */
function showsOneMoment(
  { nodes, quiet }: World,
  node: NodeName,
  token: RoundToken,
  members: readonly NodeName[],
  unfenced: NodeName | undefined,
): boolean {
  if (node !== unfenced) return quiet.includes(token);
  return members.every((other) => other === node || nodes[other]?.rounds[token] === 'frozen');
}

function hear(
  world: World,
  i: number,
  node: NodeName,
  reply: Reply | 'unknown',
  { nodes, unfenced, sabotage }: Setting,
): World {
  const coordinator = world.coordinators[i];
  if (!coordinator) return world;
  const others = nodes.filter((each) => each !== HOME);
  const next = answered(coordinator, node, reply, others, unfenced);
  const hasty = sabotage === 'no-barrier' && coordinator.step === 'freeze' && reply === 'done';
  // Without the barrier a node is cut as soon as it is frozen.
  const late = hasty ? posted(world.late, { node, operation: 'cut', token: coordinator.about }) : world.late;
  return withCoordinator({ ...world, late }, i, next);
}

function posted(late: readonly Message[], message: Message): readonly Message[] {
  const key = ({ node, operation, token }: Message) => `${node} ${operation} ${token}`;
  return [...late, message].toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function withNode(world: World, node: NodeName, state: NodeState): World {
  return { ...world, nodes: { ...world.nodes, [node]: state } };
}

function withCoordinator(world: World, i: number, coordinator: CoordinatorState): World {
  return { ...world, coordinators: world.coordinators.with(i, coordinator) };
}
