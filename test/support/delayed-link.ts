import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { ClusterOptions } from '../../src/app/temporary/cluster.ts';

const FIRST_PORT = 20_000;

/** Puts a relay on the bridge of a cluster, before every agent. */
export class DelayedLink implements AsyncDisposable {
  readonly #delayMs: number;
  #relay: ChildProcess | undefined;

  /** @param delayMs each way */
  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  readonly between: NonNullable<ClusterOptions['between']> = async (agents, network) => {
    const relays = [...agents].map(([node, target], i) => ({ node, target, port: FIRST_PORT + i }));
    const program = path.join(import.meta.dirname, 'delay-relay.ts');
    const pairs = relays.map(({ port, target }) => `${port}=${target}`);
    const [file = '', ...args] = network.bridge.command([process.execPath, program, String(this.#delayMs), ...pairs]);
    const relay = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#relay = relay;
    await Promise.race([
      once(relay.stdout, 'data'),
      once(relay, 'exit').then(() => Promise.reject(new Error('the relay ended'))),
    ]);
    return new Map(relays.map(({ node, port }) => [node, `${network.bridge.address}:${port}`]));
  };

  async [Symbol.asyncDispose](): Promise<void> {
    const relay = this.#relay;
    if (!relay || relay.exitCode !== null || relay.signalCode !== null) return;
    relay.stdin?.end();
    await once(relay, 'exit');
  }
}
