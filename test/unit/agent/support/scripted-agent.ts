import type { NodeName } from '../../../../src/core/ids.ts';
import type { NodeAgent } from '../../../../src/core/node-agent.ts';
import { NODE, volume } from './samples.ts';

type Method = Exclude<keyof NodeAgent, 'node'>;

const METHODS: Readonly<Record<Method, true>> = {
  limits: true,
  capacity: true,
  createVolume: true,
  claimVolume: true,
  confirmClaim: true,
  getVolume: true,
  listVolumes: true,
  listUnhealthy: true,
  deleteVolume: true,
  expandVolume: true,
  getSnapshot: true,
  listSnapshots: true,
  getGroup: true,
  deleteSnapshot: true,
  deleteGroup: true,
  prepare: true,
  wait: true,
  freeze: true,
  cut: true,
  commit: true,
  abort: true,
  settle: true,
  sealedParts: true,
};

export const ALL_METHODS = Object.keys(METHODS) as readonly Method[];

/** What the agent of every node says when it is greeted. */
export const LIMITS = { sizeGranularity: 1n, minVolumeBytes: 1n, maxVolumeBytes: 2n ** 60n };

/** An agent that does what the script says, and fails loudly when it is asked for anything else. */
export function scripted(node: NodeName, script: Partial<Omit<NodeAgent, 'node'>>): NodeAgent {
  const unexpected = (method: Method) => async (): Promise<never> => {
    throw new Error(`${method} was not expected`);
  };
  const others = Object.fromEntries(ALL_METHODS.map((method) => [method, unexpected(method)]));
  return { ...(others as unknown as NodeAgent), limits: async () => LIMITS, ...script, node };
}

/** An agent whose `getVolume` answers when `end` is resolved; `called` resolves when it is asked. */
export function held() {
  const [called, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const agent = scripted(NODE, {
    getVolume: async () => {
      called.resolve();
      await end.promise;
      return volume();
    },
  });
  return { agent, called, end };
}
