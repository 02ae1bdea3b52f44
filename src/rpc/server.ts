import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { DriverError, messageOf } from '../core/errors.ts';
import { type Address, grpcTarget } from './address.ts';
import type { CallSurroundings, UntypedHandler } from './call.ts';
import { InFlightCalls } from './in-flight-calls.ts';
import { readingAnything } from './malformed.ts';
import type { LoadedService } from './proto.ts';
import { streamCall } from './server-stream.ts';
import { MutualTlsServerCredentials, type TlsIdentity } from './tls.ts';
import type { Handlers, Interceptor, RpcName } from './types.ts';
import { unaryCall } from './unary.ts';
import { claimSocketPlace } from './unix-socket.ts';

/** A service with its handlers. */
export interface BoundService {
  readonly name: string;
  readonly service: LoadedService;
  readonly handlers: ReadonlyMap<string, UntypedHandler>;
}

export interface ServeOptions {
  readonly address: Address;
  readonly services: readonly BoundService[];
  /** From the outside in. */
  readonly interceptors: readonly Interceptor[];
  /** Milliseconds that calls under way have to end by themselves when the server stops, before their signal. */
  readonly drainMs: number;
  /** Only clients with a certificate are let in; absent: everybody who reaches the address. */
  readonly tls?: TlsIdentity;
  /** 4 MiB unless told. */
  readonly maxRequestBytes?: number;
}

/** A client whose machine has gone says nothing: it is asked now and then, milliseconds. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 10_000 };

/** Longest time that the last answers may take to their clients, milliseconds. */
const FAREWELL_MS = 1000;

/**
 * Disposing of it stops it gracefully: no new calls, those under way may end, then they are cancelled; and waited for, for as
 * long as it takes: what they work on is disposed of next.
 */
export interface RpcServer extends AsyncDisposable {
  readonly address: Address;
  readonly callsInFlight: number;
  /** From now on these answer, instead of those before; calls under way go on. */
  replace(services: readonly BoundService[], interceptors: readonly Interceptor[]): void;
  close(): Promise<void>;
}

/** Ties handlers to a service that was loaded under `name`; this is where their types are checked. */
export function bindService<D, S extends RpcName<D> = never>(
  name: string,
  service: LoadedService,
  handlers: Handlers<D, S>,
): BoundService {
  const entries = Object.entries(handlers) as [string, UntypedHandler][];
  for (const [method] of entries) {
    const definition = service[method];
    if (!definition || definition.requestStream) {
      throw new DriverError('internal', `${name} has no RPC ${method} that takes one request`);
    }
  }
  return { name, service, handlers: new Map(entries) };
}

/**
 * Starts to listen.
 * @throws DriverError failed-precondition when the address can't be listened at
 */
export async function serve(options: ServeOptions): Promise<RpcServer> {
  const { address, interceptors, tls, drainMs } = options;
  const inFlight = new InFlightCalls();
  const server = new Server({
    'grpc.so_reuseport': 0,
    ...(address.kind === 'tcp' && KEEPALIVE),
    ...(options.maxRequestBytes !== undefined && { 'grpc.max_receive_message_length': options.maxRequestBytes }),
  });
  let services: readonly BoundService[] = [];
  const replace = (next: readonly BoundService[], around: readonly Interceptor[]) => {
    for (const { service } of services) server.removeService(service);
    services = next;
    for (const bound of next) addService(server, bound, { interceptors: around, inFlight });
  };
  replace(options.services, interceptors);

  await using undo = new AsyncDisposableStack();
  const credentials = tls ? undo.use(new MutualTlsServerCredentials(tls)) : ServerCredentials.createInsecure();
  const place = address.kind === 'unix' ? await claimSocketPlace(address.path) : undefined;
  undo.defer(() => place?.remove());
  const target = place ? `unix://${place.temporaryPath}` : tcpTarget(address);
  const port = await bind(server, target, credentials, grpcTarget(address));
  undo.defer(() => server.forceShutdown());
  await place?.publish();

  const owned = undo.move();
  const stop = once(async () => {
    await drain(server, inFlight, drainMs);
    await owned.disposeAsync();
  });
  return {
    address: address.kind === 'tcp' ? { ...address, port } : address,
    get callsInFlight() {
      return inFlight.count;
    },
    replace,
    close: stop,
    [Symbol.asyncDispose]: stop,
  };
}

function addService(server: Server, { name, service, handlers }: BoundService, surroundings: CallSurroundings): void {
  const implementation = Object.fromEntries(
    [...handlers].map(([method, handler]) => {
      const call = service[method]?.responseStream ? streamCall : unaryCall;
      return [method, call({ service: name, method }, handler, surroundings)];
    }),
  );
  server.addService(readingAnything(service), implementation);
}

/** gRPC's server takes `host:port`, not the resolver's URL. */
function tcpTarget(address: Address): string {
  return address.kind === 'tcp' ? `${address.host}:${address.port}` : grpcTarget(address);
}

function bind(server: Server, target: string, credentials: ServerCredentials, shown: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(target, credentials, (error, port) => {
      if (!error) resolve(port);
      else
        reject(
          new DriverError('failed-precondition', `can't listen at ${shown}: ${messageOf(error)}`, { cause: error }),
        );
    });
  });
}

async function drain(server: Server, inFlight: InFlightCalls, drainMs: number): Promise<void> {
  // Refuses new calls and ends idle connections; the wait is ours: calls whose caller has gone count as well.
  const { promise: disconnected, resolve } = Promise.withResolvers<void>();
  server.tryShutdown(() => resolve());
  if (!(await inFlight.settledWithin(drainMs))) {
    inFlight.abort(new DriverError('unavailable', 'the driver is stopping'));
    await inFlight.settled();
  }
  // Answers that were just given are on their way; a client that does not take them is not waited for.
  await Promise.race([disconnected, sleep(FAREWELL_MS, undefined, { ref: false })]);
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= work();
    return running;
  };
}
