/**
 * The network of a temporary cluster: a namespace for every host, joined by a bridge in a namespace of its own. It is
 * apart from this machine's network and from that of other runs, so that all may have the same addresses.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  addBridge,
  addNetworkNamespace,
  deleteNetworkNamespace,
  inNetworkNamespace,
  joinBridge,
  listNetworkNamespaces,
  processesIn,
  setPort,
} from '../../host/network-namespace.ts';

const POLL_MS = 10;

/** A host of the network, or the bridge itself. */
export interface NetworkHost {
  readonly address: string;
  /** The command line that runs another there. */
  command(argv: readonly string[]): readonly string[];
}

export interface JoinedHost extends NetworkHost {
  /** From now on nothing gets to it and nothing comes from it, and nobody is told. */
  cutOff(): Promise<void>;
  rejoin(): Promise<void>;
}

export class TemporaryNetwork {
  readonly #id: string;
  #hosts = 0;

  private constructor(id: string) {
    this.#id = id;
  }

  /** @param id of the run; `removeNetwork` takes it away */
  static async open(id: string): Promise<TemporaryNetwork> {
    const bridge = namespaceOf(id, 0);
    await addNetworkNamespace(bridge);
    await addBridge(bridge, `${addressOf(0)}/24`);
    return new TemporaryNetwork(id);
  }

  get bridge(): NetworkHost {
    return { address: addressOf(0), command: (argv) => inNetworkNamespace(namespaceOf(this.#id, 0), argv) };
  }

  async join(): Promise<JoinedHost> {
    const host = ++this.#hosts;
    const [bridge, namespace, port] = [namespaceOf(this.#id, 0), namespaceOf(this.#id, host), `port${host}`];
    await addNetworkNamespace(namespace);
    await joinBridge(bridge, { namespace, port, address: `${addressOf(host)}/24` });
    return {
      address: addressOf(host),
      command: (argv) => inNetworkNamespace(namespace, argv),
      cutOff: () => setPort(bridge, port, 'down'),
      rejoin: () => setPort(bridge, port, 'up'),
    };
  }
}

/** Ends every process in the network of a run, however it is held up, and removes the network; none is fine. */
export async function removeNetwork(id: string): Promise<void> {
  const own = (await listNetworkNamespaces()).filter((name) => name.startsWith(prefixOf(id)));
  for (const namespace of own) {
    for (let left = await processesIn(namespace); left.length > 0; left = await processesIn(namespace)) {
      for (const pid of left) kill(pid);
      await sleep(POLL_MS);
    }
    await deleteNetworkNamespace(namespace);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

function prefixOf(id: string): string {
  return `cofferdam-${id}-`;
}

function namespaceOf(id: string, host: number): string {
  return `${prefixOf(id)}${host}`;
}

function addressOf(host: number): string {
  return `10.77.0.${host + 1}`;
}
