/** `cofferdam controller`: the services for the sidecars, over agents on the network. */
import { type NodeListSource, openStaticDirectory } from '../../agent/static-directory.ts';
import { invalidArgument } from '../../core/errors.ts';
import type { Role } from '../cli.ts';
import { CONTROLLER_OPTIONS, composeController } from '../controller.ts';
import { LINK_OPTIONS, openLink } from '../link.ts';
import { flagOf, type OptionValues } from '../options.ts';
import { runService, SERVICE_OPTIONS, type Service, type Surroundings } from '../service.ts';

const ROLE_OPTIONS = [...SERVICE_OPTIONS, ...CONTROLLER_OPTIONS, ...LINK_OPTIONS, 'agents', 'agentsFile'] as const;
type ControllerRoleOptions = OptionValues<(typeof ROLE_OPTIONS)[number]>;

export const role: Role<(typeof ROLE_OPTIONS)[number]> = {
  description:
    'Serves the CSI Identity, Controller and GroupController services for the volumes of many nodes. It keeps nothing, ' +
    'and needs no root; any number of them may run at a time.',
  options: ROLE_OPTIONS,
  run: async (options, signal) => {
    const source = sourceOf(options);
    const compose = (surroundings: Surroundings) => composeOverLink(source, options, surroundings);
    return await runService(options, { parts: ['controller'], compose }, signal);
  },
};

async function composeOverLink(
  source: NodeListSource,
  options: ControllerRoleOptions,
  surroundings: Surroundings,
): Promise<Service> {
  const { logger, resources } = surroundings;
  const link = await openLink(options, surroundings);
  const directory = resources.use(await openStaticDirectory(source, link, logger));
  const nodes = directory.nodes().length;
  return { parts: { controller: composeController(directory, options, surroundings) }, facts: { nodes } };
}

function sourceOf({ agents, agentsFile }: OptionValues<'agents' | 'agentsFile'>): NodeListSource {
  const field = flagOf('agents');
  if (agents !== undefined && agentsFile === undefined) return { kind: 'list', text: agents, field };
  if (agentsFile !== undefined && agents === undefined) return { kind: 'file', path: agentsFile };
  throw invalidArgument(field, `either this or ${flagOf('agentsFile')} says where the agents are`);
}
