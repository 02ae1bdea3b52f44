/** The guard as a process of its own role: serves any number of agents, each by a connection, at a unix socket. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Logger } from '../../core/observe.ts';
import { ExpeditedRcu } from './expedited-rcu.ts';
import { Guard, serveGuard } from './guard.ts';

export class GuardServer implements AsyncDisposable {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #stop = new AbortController();
  readonly #serving = new Set<Promise<void>>();
  readonly #rcu = new ExpeditedRcu();
  #agents = 0;

  private constructor(folder: string, logger: Logger) {
    this.#folder = folder;
    this.#logger = logger;
    // Half open: an agent that has gone sees our end close only when everything is undone.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const served = this.#serve(socket, ++this.#agents);
      this.#serving.add(served);
      void served.finally(() => this.#serving.delete(served));
    });
  }

  /** @param path of the socket; the locks lie beside it @throws SystemError when it can't be bound */
  static async listen(path: string, logger: Logger): Promise<GuardServer> {
    const server = new GuardServer(dirname(path), logger);
    server.#server.listen(path);
    await once(server.#server, 'listening');
    // One that can't be accepted must not end the others' guard.
    server.#server.on('error', (err) => logger.error({ err }, 'an agent could not join'));
    return server;
  }

  /** Thaws everything, whoever had it frozen, and parts from the agents. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#stop.abort();
    await Promise.all([closed, ...this.#serving]);
  }

  /** What an agent had frozen is thawed when it has gone; another's is left alone. */
  async #serve(socket: Socket, agent: number): Promise<void> {
    this.#logger.info({ agent }, 'an agent has joined');
    try {
      const { left, cause } = await serveGuard(socket, socket, new Guard(this.#folder, this.#rcu), this.#stop.signal);
      const reason = cause === undefined ? {} : { err: cause };
      if (left.length > 0) this.#logger.warn({ agent, rounds: left, ...reason }, 'thawed what an agent had left');
      this.#logger.info({ agent }, 'an agent has gone');
    } catch (err) {
      this.#logger.error({ agent, err }, 'what an agent had left may still be frozen');
    } finally {
      socket.destroySoon();
    }
  }
}
