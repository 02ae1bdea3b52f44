/** What must hold of the model. */
import { isOver } from './coordinator.ts';
import { HOME } from './node.ts';
import type { Setting, World } from './world.ts';

/** What must hold always. */
export function violationIn({ nodes, coordinators, good, begunAgain }: World, setting: Setting): string | undefined {
  const decided = nodes[HOME]?.committed ?? [];
  if (decided.length > 1) return 'two rounds were decided';
  for (const node of setting.nodes) {
    const { committed = [], sealed = [] } = nodes[node] ?? {};
    if (committed.some((token) => !decided.includes(token))) return 'committed somewhere, and not decided';
    for (const token of decided) {
      if (!committed.includes(token) && !sealed.includes(token)) return 'decided, and a part of it is gone';
      if (!good.includes(`${token}@${node}`)) return 'decided, and not cut at one moment';
    }
  }
  if (
    begunAgain.some((round) => coordinators.some(({ about, step }) => !isOver(step) && round.startsWith(`${about}@`)))
  ) {
    return 'begun again under its coordinator, which knows only the first answer';
  }
  for (const { step, token, about } of coordinators) {
    if (step === 'aborted' && decided.includes(token)) return 'told to be aborted, and decided';
    const whole = setting.nodes.every((node) => nodes[node]?.committed.includes(about));
    if (step === 'committed' && !decided.includes(about)) return 'told to be committed, and not decided';
    if (step === 'committed' && about !== token && !whole) return 'a decided round was found and not finished';
  }
  return undefined;
}

/** What must hold when nothing happens any more: whole or absent, nothing stopped, nothing left. */
export function leftIn({ nodes, coordinators }: World, setting: Setting): string | undefined {
  if (coordinators.some(({ step }) => !isOver(step))) return 'a coordinator waits for ever';
  const decided = nodes[HOME]?.committed ?? [];
  for (const node of setting.nodes) {
    const { rounds = {}, sealed = [], committed = [] } = nodes[node] ?? {};
    if (Object.values(rounds).some((state) => state !== 'sealed')) return 'something is still stopped';
    if (sealed.length > 0) return 'a part was left';
    if (committed.length !== decided.length) return 'half a group';
  }
  return undefined;
}
