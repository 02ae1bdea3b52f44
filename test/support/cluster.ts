/** A cluster that a test makes fail: its failpoints change while it runs, and its processes stop, die and are cut off. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type ClusterMember,
  type ClusterOptions,
  startTemporaryCluster,
  type TemporaryCluster,
} from '../../src/app/temporary/cluster.ts';
import { sweepAbandonedRuns } from '../../src/app/temporary/run.ts';
import { GiB } from '../../src/core/bytes.ts';
import { type Csi, connectTo } from './csi.ts';
import { DelayedLink } from './delayed-link.ts';
import { LogLines } from './rig.ts';
import { eventually } from './scratch.ts';
import { stateOf } from './serve.ts';

const ANSWER_MS = 60_000;

export interface TestClusterOptions extends Pick<ClusterOptions, 'controllers'> {
  /** Three unless told. */
  readonly nodes?: number;
  readonly leaseMs?: number;
  /** Added to the way between controllers and agents, each way. */
  readonly delayMs?: number;
  /** More flags for every process. */
  readonly flags?: readonly string[];
}

export class Cluster implements AsyncDisposable {
  readonly running: TemporaryCluster;
  readonly #resources: AsyncDisposableStack;
  readonly #clients = new Map<string, Csi>();

  private constructor(running: TemporaryCluster, resources: AsyncDisposableStack) {
    this.running = running;
    this.#resources = resources;
  }

  static async start(options: TestClusterOptions = {}): Promise<Cluster> {
    const { nodes = 3, controllers = 1, leaseMs = 5000, delayMs = 0, flags = [] } = options;
    await sweepAbandonedRuns(new LogLines());
    await using resources = new AsyncDisposableStack();
    const link = resources.use(new DelayedLink(delayMs));
    const running = resources.use(
      await startTemporaryCluster({
        nodes,
        controllers,
        poolBytes: 4n * GiB,
        logsToFiles: true,
        ...(delayMs > 0 && { between: link.between }),
        flagsOf: (name, folder) => {
          const file = failpointsOf(folder, name);
          writeFileSync(file, '');
          const level = ['--log-level', 'info'];
          return [...level, '--lease-ms', String(leaseMs), '--failpoints', `@${file}`, ...flags];
        },
      }),
    );
    const cluster = new Cluster(running, resources.move());
    await cluster.#answers([...running.members.keys()]);
    return cluster;
  }

  get nodes(): readonly string[] {
    return this.running.nodes.map(({ name }) => name);
  }

  get controllers(): readonly string[] {
    return [...this.running.members.keys()].filter((name) => !this.nodes.includes(name));
  }

  member(name: string): ClusterMember {
    const member = this.running.members.get(name);
    if (!member) throw new Error(`there is no ${name}`);
    return member;
  }

  /** The services of a process: those of the first controller unless told. */
  csi(name = 'controller-1'): Csi {
    const known = this.#clients.get(name);
    if (known) return known;
    const csi = connectTo(this.member(name).process.endpoint);
    this.#clients.set(name, csi);
    return csi;
  }

  /** From the next pass on; of nothing: disarms. */
  arm(name: string, failpoints: string): void {
    const file = failpointsOf(this.running.folder, name);
    // In one step: the process may look at any time.
    writeFileSync(`${file}.new`, failpoints);
    renameSync(`${file}.new`, file);
  }

  armed(name: string): string {
    return readFileSync(failpointsOf(this.running.folder, name), 'utf8');
  }

  pidOf(name: string): number {
    const { pid } = this.member(name).process;
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  }

  /** Resolves when a failpoint has stopped it. */
  async stopped(name: string): Promise<void> {
    await eventually(`${name} is stopped`, async () => (await stateOf(this.pidOf(name))) === 'T', ANSWER_MS);
  }

  halt(name: string): void {
    this.member(name).process.signal('SIGSTOP');
  }

  proceed(name: string): void {
    this.member(name).process.signal('SIGCONT');
  }

  async kill(name: string): Promise<void> {
    this.#forget(name);
    await this.member(name).process.kill();
  }

  /** As the kubelet ends a container. Resolves when it has ended. @throws Error when it did not end well */
  async end(name: string): Promise<void> {
    const { process } = this.member(name);
    process.signal('SIGTERM');
    const code = await process.ended();
    this.#forget(name);
    if (code !== 0) throw new Error(`${name} was told to end, and ended with ${code ?? 'a signal'}`);
  }

  /** Those that do not run; resolves when they answer. */
  async restart(names: readonly string[] = [...this.running.members.keys()]): Promise<void> {
    const dead = names.filter((name) => this.member(name).process.pid === undefined);
    for (const name of dead) this.#forget(name);
    await Promise.all(dead.map((name) => this.member(name).process.start()));
    await this.#answers(dead);
  }

  logOf(name: string): string {
    return path.join(this.running.folder, `${name}.log`);
  }

  /** @returns the exit codes; undefined for those that were killed */
  async stop(): Promise<readonly (number | undefined)[]> {
    return await Promise.all([...this.running.members.values()].map(({ process }) => process.stop()));
  }

  async logs(): Promise<string> {
    const names = [...this.running.members.keys()];
    const logs = await Promise.all(names.map((name) => readFile(this.logOf(name), 'utf8')));
    return logs.map((text, i) => `--- ${names[i]}\n${text}`).join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#clients.keys()) this.#forget(name);
    for (const name of this.running.members.keys()) {
      this.arm(name, '');
      this.proceed(name);
    }
    await this.#resources.disposeAsync();
  }

  async #answers(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.csi(name).ready(ANSWER_MS)));
  }

  #forget(name: string): void {
    this.#clients.get(name)?.[Symbol.dispose]();
    this.#clients.delete(name);
  }
}

function failpointsOf(folder: string, name: string): string {
  return path.join(folder, `${name}.failpoints`);
}
