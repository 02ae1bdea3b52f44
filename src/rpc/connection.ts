import type { Socket } from 'node:net';
import { connectivityState, credentials, Client as GrpcClient, Metadata } from '@grpc/grpc-js';
import { DriverError } from '../core/errors.ts';
import { type Address, grpcTarget } from './address.ts';
import { clientOf, type RpcClient } from './client-calls.ts';
import { notingSockets } from './dialed-sockets.ts';
import type { LoadedService } from './proto.ts';
import { clientCredentials, type ExpectedServer, type TlsMaterial } from './tls.ts';
import type { RpcName } from './types.ts';

/** TLS of one connection; without it, in the clear. */
export interface ConnectionTls {
  readonly material: TlsMaterial;
  readonly server: ExpectedServer;
}

/** What is sent in one message is bounded; a list comes in many. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

const OPTIONS = {
  'grpc.max_receive_message_length': MAX_REPLY_BYTES,
  'grpc.enable_retries': 0,
  // A server that has gone without a word is noticed by its silence; but not an event loop that is busy for a moment.
  'grpc.keepalive_time_ms': 1000,
  'grpc.keepalive_timeout_ms': 3000,
  // A connection of our own, and straight to its address.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_channelz': 0,
} as const;

/** What matters in gRPC's words. */
const LAST_ERROR = /Last error: (?:Error: |DriverError: )?(.*?)\. Resolution note/s;

/** A bound for what takes no time. */
const WHY_NOT_MS = 1000;

/**
 * One connection: tried once, used until it is lost, and never again. What gRPC does beyond that (waits between attempts
 * that have no limit, silent reconnects) is left to whoever wants another one.
 */
export class Connection implements Disposable {
  /** Resolves when it stands. @throws DriverError unavailable that says why it does not */
  readonly established: Promise<void>;
  readonly openedAtMs = performance.now();
  readonly material: TlsMaterial | undefined;
  readonly #grpc: GrpcClient;
  readonly #sockets = new Set<Socket>();
  #state: 'opening' | 'open' | 'over' = 'opening';

  constructor(address: Address, tls?: ConnectionTls) {
    this.material = tls?.material;
    this.#grpc = new GrpcClient(
      grpcTarget(address),
      tls ? clientCredentials(tls.material, tls.server) : credentials.createInsecure(),
      { ...OPTIONS, ...(tls && { 'grpc.ssl_target_name_override': tls.server.name }) },
    );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.established = promise;
    // Perhaps nobody waits any more.
    this.established.catch(() => undefined);
    notingSockets(
      (socket) => this.#note(socket),
      () => this.#follow(resolve, reject),
    );
  }

  get state(): 'opening' | 'open' | 'over' {
    return this.#state;
  }

  client<D, S extends RpcName<D> = never>(service: LoadedService): RpcClient<D, S> {
    return clientOf<D, S>(this.#grpc, service);
  }

  /** Takes no new calls; those under way go on, and the connection ends with the last of them. */
  [Symbol.dispose](): void {
    if (this.#state === 'over') return;
    const opened = this.#state === 'open';
    this.#state = 'over';
    this.#grpc.close();
    if (!opened) for (const socket of this.#sockets) socket.destroy();
  }

  #note(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Not at once: to connect would bring it back to life.
    if (this.#state === 'over') process.nextTick(() => socket.destroy());
  }

  #follow(resolve: () => void, reject: (reason: DriverError) => void): void {
    const channel = this.#grpc.getChannel();
    const look = () => {
      if (this.#state === 'over') {
        reject(new DriverError('unavailable', 'the connection was given up'));
        return;
      }
      const state = channel.getConnectivityState(this.#state === 'opening');
      if (state === connectivityState.READY) {
        this.#state = 'open';
        resolve();
      } else if (this.#state === 'open') {
        this[Symbol.dispose]();
        return;
      } else if (state === connectivityState.TRANSIENT_FAILURE) {
        void this.#whyNot().then((reason) => {
          this[Symbol.dispose]();
          reject(reason);
        });
        return;
      }
      channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, look);
    };
    look();
  }

  /** gRPC tells what went wrong with a connection to a call alone. This one does not leave the process. */
  #whyNot(): Promise<DriverError> {
    return new Promise((resolve) => {
      const nothing = () => Buffer.alloc(0);
      const deadline = Date.now() + WHY_NOT_MS;
      this.#grpc.makeUnaryRequest('/', nothing, nothing, {}, new Metadata(), { deadline }, (error) => {
        const text = error?.details ?? 'the connection failed';
        resolve(new DriverError('unavailable', LAST_ERROR.exec(text)?.[1] ?? text));
      });
    });
  }
}
