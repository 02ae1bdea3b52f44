import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A cable that can be cut without a word: what is sent into it is neither delivered nor refused. */
export class SilentProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #silent = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<SilentProxy> {
    const server = createServer();
    const proxy = new SilentProxy(server);
    server.on('connection', (near) => proxy.#join(near, connect(port, '127.0.0.1')));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return `127.0.0.1:${address.port}`;
  }

  /** Connections from the near side that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  cut(): void {
    this.#silent = true;
  }

  /** For connections that are made from now on. */
  mend(): void {
    this.#silent = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket, far: Socket): void {
    this.#sockets.add(near);
    const pass = (to: Socket) => (data: Buffer) => {
      if (!this.#silent) to.write(data);
    };
    const end = () => {
      this.#sockets.delete(near);
      near.destroy();
      far.destroy();
    };
    near.on('data', pass(far)).on('close', end).on('error', end);
    far.on('data', pass(near)).on('close', end).on('error', end);
  }
}
