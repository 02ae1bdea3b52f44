/** The node's side, composed: its storage, and the services that the kubelet calls. */
import { realpath } from 'node:fs/promises';
import { SingleNodeDirectory } from '../agent/local-agent.ts';
import { BACKENDS } from '../backends/registry.ts';
import type { NodeAgent } from '../core/node-agent.ts';
import { requireRoot, requireTools } from '../host/privileges.ts';
import { NodeService } from '../mounts/node-service.ts';
import { VolumeService } from '../volumes/volume-service.ts';
import { openStorage, STORAGE_OPTIONS } from './driver.ts';
import type { OptionValues } from './options.ts';
import type { Service, Surroundings } from './service.ts';
import { sweepAbandonedRuns } from './temporary/run.ts';

export const NODE_OPTIONS = STORAGE_OPTIONS;

/** What staging a volume runs, whatever the backend; those of btrfs only where somebody asks for one. */
const FILESYSTEM_TOOLS = ['blkid', 'wipefs', 'mount', 'mkfs.ext4', 'e2fsck', 'resize2fs', 'mkfs.xfs', 'xfs_growfs'];

export interface ComposedNode extends Service {
  readonly agent: NodeAgent;
}

/** @throws DriverError failed-precondition when this is not a machine that a node can run on */
export async function requireNodeMachine({ backend }: OptionValues<'backend'>): Promise<void> {
  requireRoot();
  const { tools } = BACKENDS[backend];
  await requireTools([...FILESYSTEM_TOOLS, ...tools]);
}

export async function composeNode(
  options: OptionValues<(typeof NODE_OPTIONS)[number]>,
  { logger, metrics, resources, signal }: Surroundings,
): Promise<ComposedNode> {
  await sweepAbandonedRuns(logger);
  const { backend, agent, locks } = resources.use(await openStorage(options, logger, metrics, signal));
  const { nodeName: node, dataDir } = options;
  return {
    agent,
    parts: {
      node: {
        operations: new NodeService({ backend, dataDir: await realpath(dataDir) }),
        volumes: new VolumeService(new SingleNodeDirectory(agent)),
        info: { node },
      },
    },
    nodeLocks: locks,
    refresh: async () => metrics.pool(await backend.capacity(new AbortController().signal)),
    facts: { node, dataDir },
  };
}
