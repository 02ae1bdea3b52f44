import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { NodeName } from '../../../src/core/ids.ts';
import type { Asked, Message, Plan } from './program.ts';

export type { Asked, Plan } from './program.ts';

/**
 * Nodes that there are not, for a controller that can't tell: real agents on real connections, over pools that are
 * computed. All of them in a process of their own.
 */
export class SimulatedNodes implements AsyncDisposable {
  /** Where the agents listen: `host:port` by node, in the order of names. */
  readonly agents: ReadonlyMap<NodeName, string>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, exited: Promise<unknown>, agents: ReadonlyMap<NodeName, string>) {
    this.#child = child;
    this.#exited = exited;
    this.agents = agents;
  }

  /** Resolves when all of them listen. */
  static async start(plan: Plan): Promise<SimulatedNodes> {
    // Not the flags of whoever runs this; `advanced`: maps go through.
    const child = fork(path.join(import.meta.dirname, 'program.ts'), [JSON.stringify(plan)], {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exited = once(child, 'exit');
    const message = await next(child, exited);
    if (message.kind !== 'ready') throw new Error(`the simulated nodes say ${message.kind} first`);
    return new SimulatedNodes(child, exited, message.agents);
  }

  /** What the agents were asked since this was last called. A node that was not is absent. */
  async takeAsked(): Promise<Asked> {
    const answer = next(this.#child, this.#exited);
    this.#child.send('asked');
    const message = await answer;
    if (message.kind !== 'asked') throw new Error(`the simulated nodes say ${message.kind}`);
    return message.asked;
  }

  /** As `cofferdam controller --agents-file` reads it. */
  async writeList(file: string): Promise<void> {
    await writeFile(file, [...this.agents].map(([node, address]) => `${node}=${address}\n`).join(''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

async function next(child: ChildProcess, exited: Promise<unknown>): Promise<Message> {
  const ended = exited.then(() => {
    throw new Error('the simulated nodes ended');
  });
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [Message];
  return message;
}
