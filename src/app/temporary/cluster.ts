/**
 * A cluster for the length of a demonstration or a test: nodes and controllers as processes on this machine, each in a
 * network of its own, with certificates and pools of their own. They share the kernel, and so mounts and loop devices.
 */
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Bytes } from '../../core/bytes.ts';
import type { NodeName } from '../../core/ids.ts';
import { TemporaryAuthority } from './certificates.ts';
import { poolFlags, type TemporaryDriver, windowsOfGroup } from './driver.ts';
import { type JoinedHost, TemporaryNetwork } from './network.ts';
import { TemporaryProcess } from './process.ts';
import { openTemporaryRun } from './run.ts';

const AGENT_PORT = 9810;

export interface ClusterOptions {
  readonly nodes: number;
  /** One unless told. */
  readonly controllers?: number;
  /** Size of each node's pool. */
  readonly poolBytes?: Bytes;
  /** Logs go to `<folder>/<name>.log`, and not to standard error. */
  readonly logsToFiles?: boolean;
  /** More flags for a process, by its name, and the folder of the run. */
  readonly flagsOf?: (name: string, folder: string) => readonly string[];
  /** Puts something between controllers and agents. @returns where the controllers find the agents then */
  readonly between?: (
    agents: ReadonlyMap<NodeName, string>,
    network: TemporaryNetwork,
  ) => Promise<ReadonlyMap<NodeName, string>>;
}

export interface ClusterMember {
  readonly name: string;
  readonly process: TemporaryProcess;
  readonly host: JoinedHost;
}

export interface TemporaryCluster extends TemporaryDriver {
  readonly folder: string;
  readonly members: ReadonlyMap<string, ClusterMember>;
  /** Where the controllers find the agents: `host:port` by node. */
  readonly agents: ReadonlyMap<NodeName, string>;
  /** Tells the controllers of these nodes and no others. */
  tellControllers(agents: ReadonlyMap<NodeName, string>): Promise<void>;
}

/** Nodes are called `node-1`, `node-2`, ..., controllers `controller-1`, ... Resolves when all of them answer. */
export async function startTemporaryCluster(options: ClusterOptions): Promise<TemporaryCluster> {
  const { flagsOf = () => [], between = async (agents) => agents } = options;
  await using resources = new AsyncDisposableStack();
  const { folder, id, workFolder } = resources.use(await openTemporaryRun());
  const network = await TemporaryNetwork.open(id);
  const authority = await TemporaryAuthority.open(path.join(folder, 'tls'));
  const members = new Map<string, ClusterMember>();
  const add = async (role: 'node' | 'controller', name: string, flagsFor: (host: JoinedHost) => readonly string[]) => {
    const host = await network.join();
    const certificate = await authority.issue(name, `cofferdam://${role === 'node' ? `node/${name}` : role}`);
    const flags = [...flagsFor(host), ...certificate, ...flagsOf(name, folder)];
    const command = (argv: readonly string[]) => host.command(argv);
    const own = path.join(folder, name);
    const log = options.logsToFiles ? { logFile: path.join(folder, `${name}.log`) } : {};
    const process = resources.use(new TemporaryProcess({ role, folder: own, flags, command, ...log }));
    const member: ClusterMember = { name, process, host };
    members.set(name, member);
    return member;
  };

  const nodes: ClusterMember[] = [];
  for (const name of numbered('node', options.nodes)) {
    const own = ['--node-name', name, ...poolFlags(options.poolBytes)];
    // The switch is the whole machine's, and these agents don't know of each other.
    const shared = ['--expedite-rcu', 'off'];
    nodes.push(
      await add('node', name, ({ address }) => [
        ...own,
        ...shared,
        '--agent-address',
        `tcp://${address}:${AGENT_PORT}`,
      ]),
    );
  }
  const agents = await between(
    new Map(nodes.map(({ name, host }) => [name, `${host.address}:${AGENT_PORT}`])),
    network,
  );
  const list = path.join(folder, 'agents');
  const tellControllers = async (told: ReadonlyMap<NodeName, string>) => {
    // In one step: a controller may read it at any time.
    await writeFile(`${list}.new`, [...told].map(([node, address]) => `${node}=${address}\n`).join(''));
    await rename(`${list}.new`, list);
  };
  await tellControllers(agents);
  const controllers: ClusterMember[] = [];
  for (const name of numbered('controller', options.controllers ?? 1)) {
    controllers.push(await add('controller', name, () => ['--agents-file', list]));
  }
  await Promise.all([...members.values()].map(({ process }) => process.start()));

  const pools = new Map(nodes.map(({ name, process }) => [name, process.dataDir]));
  const owned = resources.move();
  return {
    folder,
    workFolder,
    members,
    agents,
    tellControllers,
    endpoint: controllers[0]?.process.endpoint ?? '',
    nodes: nodes.map(({ name, process }) => ({ name, endpoint: process.endpoint })),
    windowsOf: (groupId) => windowsOfGroup(groupId, pools),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function numbered(name: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
}
