/** Network namespaces, and a bridge that joins them (ip-netns(8), ip-link(8)). */
import { readdir } from 'node:fs/promises';
import { isErrno } from '../core/errors.ts';
import { run } from './exec.ts';

/** Where ip(8) binds them. */
const FOLDER = '/run/netns';
const BRIDGE = 'bridge';
/** The interface of a joined namespace, as it is called in it. */
const DEVICE = 'eth0';

/** A namespace on the bridge. */
export interface Joined {
  readonly namespace: string;
  /** Its port on the bridge: 15 characters at most. */
  readonly port: string;
  /** With the length of its network: `10.0.0.1/24`. */
  readonly address: string;
}

/** @throws CommandError when it is there already */
export async function addNetworkNamespace(name: string): Promise<void> {
  await run(['ip', 'netns', 'add', name]);
}

/** With its devices, once no process is in it any more; none of that name is fine. */
export async function deleteNetworkNamespace(name: string): Promise<void> {
  if ((await listNetworkNamespaces()).includes(name)) await run(['ip', 'netns', 'delete', name]);
}

export async function listNetworkNamespaces(): Promise<readonly string[]> {
  try {
    return await readdir(FOLDER);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []; // there never was one
    throw error;
  }
}

/** Process ids. */
export async function processesIn(namespace: string): Promise<readonly number[]> {
  const { stdout } = await run(['ip', 'netns', 'pids', namespace]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

/**
 * The command line that runs another in a network namespace, and in nothing else: `ip netns exec` would give it mounts of
 * its own, which nobody else sees.
 */
export function inNetworkNamespace(name: string, argv: readonly string[]): readonly string[] {
  return ['nsenter', `--net=${FOLDER}/${name}`, ...argv];
}

/** Makes the namespace a switch: others are joined to it. @param address its own, with the length of the network */
export async function addBridge(namespace: string, address: string): Promise<void> {
  await ip(namespace, 'link', 'add', BRIDGE, 'type', 'bridge');
  await ip(namespace, 'address', 'add', address, 'dev', BRIDGE);
  await ip(namespace, 'link', 'set', BRIDGE, 'up');
}

/** Joins a namespace to the bridge of another by a pair of devices. */
export async function joinBridge(bridge: string, { namespace, port, address }: Joined): Promise<void> {
  await ip(bridge, 'link', 'add', port, 'type', 'veth', 'peer', 'name', DEVICE, 'netns', namespace);
  await ip(bridge, 'link', 'set', port, 'master', BRIDGE, 'up');
  await ip(namespace, 'address', 'add', address, 'dev', DEVICE);
  await ip(namespace, 'link', 'set', DEVICE, 'up');
}

/** A port that is down drops everything, both ways, and tells nobody. */
export async function setPort(bridge: string, port: string, state: 'up' | 'down'): Promise<void> {
  await ip(bridge, 'link', 'set', port, state);
}

async function ip(namespace: string, ...args: readonly string[]): Promise<void> {
  await run(['ip', '-netns', namespace, ...args]);
}
