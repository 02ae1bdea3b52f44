/** `cofferdam node`: the services for the kubelet of this node, and its agent for the controllers. */
import { serveAgent } from '../../agent/serve-agent.ts';
import { parseAddress } from '../../rpc/address.ts';
import type { Role } from '../cli.ts';
import { LINK_OPTIONS, openLink } from '../link.ts';
import { composeNode, NODE_OPTIONS } from '../node.ts';
import { DRAIN_MS, runService, SERVICE_OPTIONS } from '../service.ts';

const ROLE_OPTIONS = [...SERVICE_OPTIONS, ...NODE_OPTIONS, ...LINK_OPTIONS, 'agentAddress'] as const;

export const role: Role<(typeof ROLE_OPTIONS)[number]> = {
  description:
    'Serves the CSI Identity and Node services for the kubelet of this node, and the agent of its volumes for controllers.',
  options: ROLE_OPTIONS,
  run: (options, signal) =>
    runService(
      options,
      async (surroundings) => {
        const { logger, resources } = surroundings;
        const address = parseAddress('--agent-address', options.agentAddress);
        const link = await openLink(options, surroundings);
        const node = await composeNode(options, surroundings);
        const server = resources.use(
          await serveAgent({ ...link, address, agent: node.agent, logger, drainMs: DRAIN_MS }),
        );
        return { ...node, facts: { ...node.facts, agentAddress: server.address } };
      },
      signal,
    ),
};
