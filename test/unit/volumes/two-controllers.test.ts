/**
 * Two controllers, each with its services, are asked for one volume at the same time, over the agents that nodes run. Every
 * call to a node arrives, and every answer comes back, when the schedule says so: the orders are drawn, not timed.
 */
import { setImmediate } from 'node:timers/promises';
import { test } from '@jest/globals';
import { LocalAgent } from '../../../src/agent/local-agent.ts';
import type { Backend } from '../../../src/core/backend.ts';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { DriverError, hasCode } from '../../../src/core/errors.ts';
import { KeyedLocks } from '../../../src/core/locks.ts';
import type { NodeAgent, NodeDirectory } from '../../../src/core/node-agent.ts';
import type { Volume, VolumeSpec } from '../../../src/core/volume.ts';
import type { NodeRounds } from '../../../src/fence/node-round.ts';
import type { QuietCopies } from '../../../src/fence/quiet-copy.ts';
import { Random } from '../../../src/prove/random.ts';
import type { CreateVolumeRequest } from '../../../src/volumes/requests.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { noSignal } from '../support/fake-agent.ts';

const SCHEDULES = 100;
const REQUEST: CreateVolumeRequest = {
  name: 'pvc',
  range: { requiredBytes: GiB },
  placement: { requisite: [], preferred: [] },
  parameters: {},
};

/** Steps that wait for their turn. */
class Schedule {
  readonly random: Random;
  readonly #waiting: (() => void)[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  async turn(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }

  /** Lets one step after the other go on, in a drawn order, until the work is done. */
  async run<T>(work: Promise<T>, between: () => void): Promise<T> {
    let done = false;
    const end = () => {
      done = true;
    };
    work.then(end, end);
    for (await setImmediate(); !done; await setImmediate()) {
      between();
      const [step] = this.#waiting.splice(this.random.below(this.#waiting.length), 1);
      step?.();
    }
    return await work;
  }
}

/** A node with its pool; what the pool has room for differs from one look to the next. */
class PoolNode {
  readonly node: string;
  readonly volumes = new Map<string, Volume>();
  agent: NodeAgent;
  readonly #schedule: Schedule;

  constructor(node: string, schedule: Schedule) {
    this.node = node;
    this.#schedule = schedule;
    this.agent = this.#start();
  }

  /** What was under way has ended; the pool stays. */
  restart(): void {
    this.agent = this.#start();
  }

  #start(): NodeAgent {
    const assertAlive = () => {
      if (this.agent !== agent) throw new DriverError('unavailable', 'the agent has gone');
    };
    const { random } = this.#schedule;
    const backend = {
      sizeGranularity: MiB,
      minVolumeBytes: MiB,
      maxVolumeBytes: 1024n * GiB,
      capacity: async () => ({ availableBytes: BigInt(random.below(1000)) * GiB }),
      getVolume: async (id: string) => this.volumes.get(id),
      createVolume: async (spec: VolumeSpec) => {
        await this.#schedule.turn();
        assertAlive();
        if (random.below(4) === 0) throw new DriverError('resource-exhausted', 'the pool is full');
        const volume: Volume = { ...spec, node: this.node, content: { kind: 'blank' }, createdAt: 1 };
        this.volumes.set(spec.id, volume);
        return volume;
      },
    } as unknown as Backend;
    const parts = { rounds: {} as NodeRounds, copies: {} as QuietCopies, locks: new KeyedLocks() };
    const agent = new LocalAgent({ node: this.node, backend, healthOf: async () => [], ...parts });
    return agent;
  }
}

/** As one controller sees the nodes: each call takes its time, there and back. */
function seenBy(nodes: ReadonlyMap<string, PoolNode>, schedule: Schedule): NodeDirectory {
  const agentOf = (node: string) =>
    new Proxy({} as NodeAgent, {
      get: (_target, key) => {
        if (key === 'node') return node;
        return async (...args: readonly unknown[]) => {
          await schedule.turn();
          const agent = nodes.get(node)?.agent as NodeAgent;
          const method = Reflect.get(agent, key) as (...args: readonly unknown[]) => Promise<unknown>;
          const [answer] = await Promise.allSettled([method.apply(agent, [...args])]);
          await schedule.turn();
          if (answer.status === 'rejected') throw answer.reason;
          return answer.value;
        };
      },
    });
  return { agent: agentOf, has: (node) => nodes.has(node), nodes: () => [...nodes.keys()] };
}

const RETRIED = ['aborted', 'unavailable', 'resource-exhausted'] as const;

/** As a sidecar does: until there is an answer that stays. */
async function persist(service: VolumeService): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await service.create(REQUEST, noSignal)).id;
    } catch (error) {
      if (attempt === 100 || !RETRIED.some((code) => hasCode(error, code))) throw error;
    }
  }
}

async function race(seed: number, restarts: boolean) {
  const schedule = new Schedule(seed);
  const nodes = new Map(['a', 'b', 'c'].map((node) => [node, new PoolNode(node, schedule)]));
  const controllers = [1, 2].map(() => new VolumeService(seenBy(nodes, schedule)));
  let restartsLeft = restarts ? 3 : 0;
  const answers = await schedule.run(Promise.all(controllers.map(persist)), () => {
    if (restartsLeft === 0 || schedule.random.below(10) > 0) return;
    const node = [...nodes.values()][schedule.random.below(nodes.size)];
    restartsLeft--;
    node?.restart();
  });
  const made = [...nodes.values()].flatMap(({ volumes }) => [...volumes.keys()]);
  return { answers, made };
}

test.each([
  ['nothing else happens', false],
  ['agents restart', true],
])(
  'in whatever order their calls arrive, both answer the one volume that there is, while %s',
  async (_what, restarts) => {
    for (let seed = 1; seed <= SCHEDULES; seed++) {
      const { answers, made } = await race(seed, restarts);
      if (made.length !== 1 || answers.some((id) => id !== made[0])) {
        throw new Error(`schedule ${seed}: made ${made.join(', ')}; answered ${answers.join(', ')}`);
      }
    }
  },
);
