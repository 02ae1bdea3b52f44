/** A coordinator over three fake agents, and what became of its rounds. */
import { expect } from '@jest/globals';
import { groupId, memberSnapshotId, type NodeName, type VolumeId, volumeId } from '../../../../src/core/ids.ts';
import type { RoundMember } from '../../../../src/core/round.ts';
import type { CutRecord } from '../../../../src/core/snapshot.ts';
import { RoundCoordinator, type RoundObserver } from '../../../../src/fence/coordinator.ts';
import type { RoundRequest } from '../../../../src/fence/led-round.ts';
import { FakeAgent, FakeDirectory, type FakeEvent, type Script, type Step } from '../../support/fake-agents.ts';

export const NODES = ['node-a', 'node-b', 'node-c'] as const;
export const LEASE_MS = 4000;

export interface Outcomes {
  readonly committed: { readonly records: readonly CutRecord[]; readonly windowMs: number }[];
  readonly aborted: unknown[];
  readonly undecided: unknown[];
  readonly unfinished: unknown[];
}

/** Three nodes with two members each, named in an order that mixes the nodes. */
export class LedWorld {
  readonly events: FakeEvent[] = [];
  readonly agents: readonly FakeAgent[];
  readonly members: readonly RoundMember[];
  readonly seen: Outcomes = { committed: [], aborted: [], undecided: [], unfinished: [] };
  readonly #coordinator: RoundCoordinator;

  constructor(scripts: Partial<Record<NodeName, Script>> = {}, leaseMs = LEASE_MS) {
    this.agents = NODES.map((node) => new FakeAgent(node, this.events, scripts[node]));
    this.members = [0, 1].flatMap((i) =>
      NODES.map((node) => {
        const volume = memberOf(node, i);
        return { volumeId: volume, snapshotId: memberSnapshotId(node, 'group', volume) };
      }),
    );
    const { seen } = this;
    const observer: RoundObserver = {
      committed: (_story, records, windowMs) => void seen.committed.push({ records, windowMs }),
      aborted: (_story, reason) => void seen.aborted.push(reason),
      undecided: (_story, reason) => void seen.undecided.push(reason),
      unfinished: (_story, reason) => void seen.unfinished.push(reason),
    };
    this.#coordinator = new RoundCoordinator(new FakeDirectory(this.agents), leaseMs, observer);
  }

  run(change: Partial<RoundRequest> = {}, signal = new AbortController().signal): Promise<readonly CutRecord[]> {
    const group = {
      id: groupId('node-a', 'group'),
      name: 'group',
      volumeIds: this.members.map(({ volumeId }) => volumeId),
      parameters: {},
    };
    return this.#coordinator.run({ name: 'group', group, members: this.members, fenced: true, ...change }, signal);
  }

  /** Nodes that were asked to do a step, in the order of the calls. */
  asked(step: Step): readonly NodeName[] {
    return this.events.filter((event) => event.step === step && event.at === 'called').map(({ node }) => node);
  }

  indexOf(node: NodeName, step: Step, at: FakeEvent['at']): number {
    return this.events.findIndex((event) => event.node === node && event.step === step && event.at === at);
  }

  expectNothingLeft(): void {
    for (const agent of this.agents) {
      expect({ node: agent.node, frozen: agent.frozen, undecided: agent.undecided }).toEqual({
        node: agent.node,
        frozen: 0,
        undecided: 0,
      });
      expect([...agent.committed]).toEqual([]);
    }
    expect(this.asked('abort').toSorted()).toEqual(NODES);
    expect(this.asked('commit')).toEqual([]);
    expect(this.seen.committed).toEqual([]);
  }
}

export function memberOf(node: NodeName, i: number): VolumeId {
  return volumeId(node, `volume ${i}`);
}
