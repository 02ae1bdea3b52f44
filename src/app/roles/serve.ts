/** `cofferdam serve`: all CSI services on one socket, with the agent in the process. */
import { SingleNodeDirectory } from '../../agent/local-agent.ts';
import type { Role } from '../cli.ts';
import { CONTROLLER_OPTIONS, composeController } from '../controller.ts';
import { composeNode, NODE_OPTIONS, requireNodeMachine } from '../node.ts';
import type { OptionValues } from '../options.ts';
import { runService, SERVICE_OPTIONS, type Service, type Surroundings } from '../service.ts';

/** Both sides have a lease. */
const SERVE_OPTIONS = [...new Set([...SERVICE_OPTIONS, ...CONTROLLER_OPTIONS, ...NODE_OPTIONS])];
type ServeOptions = OptionValues<(typeof SERVE_OPTIONS)[number]>;

export const role: Role<(typeof SERVE_OPTIONS)[number]> = {
  description: 'Serves the CSI Identity, Controller, GroupController and Node services for the volumes of this node.',
  options: SERVE_OPTIONS,
  run: async (options, signal) => {
    await requireNodeMachine(options);
    const compose = (surroundings: Surroundings) => composeBoth(options, surroundings);
    return await runService(options, { parts: ['controller', 'node'], compose }, signal);
  },
};

async function composeBoth(options: ServeOptions, surroundings: Surroundings): Promise<Service> {
  const node = await composeNode(options, surroundings);
  const controller = composeController(new SingleNodeDirectory(node.agent), options, surroundings);
  return { ...node, parts: { ...node.parts, controller } };
}
