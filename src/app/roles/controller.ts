/** `cofferdam controller`: the services for the sidecars, over agents on the network. */
import { type NodeListSource, openStaticDirectory } from '../../agent/static-directory.ts';
import { invalidArgument } from '../../core/errors.ts';
import type { Role } from '../cli.ts';
import { CONTROLLER_OPTIONS, composeController } from '../controller.ts';
import { LINK_OPTIONS, openLink } from '../link.ts';
import { flagOf, type OptionValues } from '../options.ts';
import { runService, SERVICE_OPTIONS } from '../service.ts';

const ROLE_OPTIONS = [...SERVICE_OPTIONS, ...CONTROLLER_OPTIONS, ...LINK_OPTIONS, 'agents', 'agentsFile'] as const;

export const role: Role<(typeof ROLE_OPTIONS)[number]> = {
  description:
    'Serves the CSI Identity, Controller and GroupController services for the volumes of many nodes. It keeps nothing, ' +
    'and needs no root; any number of them may run at a time.',
  options: ROLE_OPTIONS,
  run: (options, signal) =>
    runService(
      options,
      async (surroundings) => {
        const source = sourceOf(options);
        const link = await openLink(options, surroundings);
        const directory = surroundings.resources.use(await openStaticDirectory(source, link, surroundings.logger));
        const nodes = directory.nodes().length;
        return { parts: { controller: composeController(directory, options, surroundings) }, facts: { nodes } };
      },
      signal,
    ),
};

function sourceOf({ agents, agentsFile }: OptionValues<'agents' | 'agentsFile'>): NodeListSource {
  const field = flagOf('agents');
  if (agents !== undefined && agentsFile === undefined) return { kind: 'list', text: agents, field };
  if (agentsFile !== undefined && agents === undefined) return { kind: 'file', path: agentsFile };
  throw invalidArgument(field, `either this or ${flagOf('agentsFile')} says where the agents are`);
}
