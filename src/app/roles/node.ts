/** `cofferdam node`: the services for the kubelet of this node, and its agent for the controllers. */
import { serveAgent } from '../../agent/serve-agent.ts';
import type { Role } from '../cli.ts';
import { LINK_OPTIONS, openLink } from '../link.ts';
import { composeNode, NODE_OPTIONS, requireNodeMachine } from '../node.ts';
import type { OptionValues } from '../options.ts';
import { DRAIN_MS, runService, SERVICE_OPTIONS, type Service, type Surroundings } from '../service.ts';

const ROLE_OPTIONS = [...SERVICE_OPTIONS, ...NODE_OPTIONS, ...LINK_OPTIONS, 'agentAddress'] as const;
type NodeRoleOptions = OptionValues<(typeof ROLE_OPTIONS)[number]>;

export const role: Role<(typeof ROLE_OPTIONS)[number]> = {
  description:
    'Serves the CSI Identity and Node services for the kubelet of this node, and the agent of its volumes for controllers.',
  options: ROLE_OPTIONS,
  run: async (options, signal) => {
    await requireNodeMachine(options);
    const compose = (surroundings: Surroundings) => composeWithAgent(options, surroundings);
    return await runService(options, { parts: ['node'], compose }, signal);
  },
};

async function composeWithAgent(options: NodeRoleOptions, surroundings: Surroundings): Promise<Service> {
  const { logger, resources } = surroundings;
  const link = await openLink(options, surroundings);
  const node = await composeNode(options, surroundings);
  const server = resources.use(
    await serveAgent({ ...link, address: options.agentAddress, agent: node.agent, logger, drainMs: DRAIN_MS }),
  );
  return { ...node, facts: { ...node.facts, agentAddress: server.address } };
}
