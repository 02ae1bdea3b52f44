/** `cofferdam serve`: all CSI services on one socket, with the agent in the process. */
import { SingleNodeDirectory } from '../../agent/local-agent.ts';
import type { Role } from '../cli.ts';
import { CONTROLLER_OPTIONS, composeController } from '../controller.ts';
import { composeNode, NODE_OPTIONS } from '../node.ts';
import { runService, SERVICE_OPTIONS } from '../service.ts';

/** Both sides have a lease. */
const SERVE_OPTIONS = [...new Set([...SERVICE_OPTIONS, ...CONTROLLER_OPTIONS, ...NODE_OPTIONS])];

export const role: Role<(typeof SERVE_OPTIONS)[number]> = {
  description: 'Serves the CSI Identity, Controller, GroupController and Node services for the volumes of this node.',
  options: SERVE_OPTIONS,
  run: (options, signal) =>
    runService(
      options,
      async (surroundings) => {
        const node = await composeNode(options, surroundings);
        const controller = composeController(new SingleNodeDirectory(node.agent), options, surroundings);
        return { ...node, parts: { ...node.parts, controller } };
      },
      signal,
    ),
};
