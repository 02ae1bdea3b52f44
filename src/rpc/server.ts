import { Server, ServerCredentials } from '@grpc/grpc-js';
import { DriverError, messageOf } from '../core/errors.ts';
import { type Address, grpcTarget } from './address.ts';
import { InFlightCalls } from './in-flight-calls.ts';
import { readingAnything } from './malformed.ts';
import type { LoadedService } from './proto.ts';
import type { Handlers, Interceptor } from './types.ts';
import { type UntypedHandler, unaryCall } from './unary.ts';
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
  /** Milliseconds that calls under way have to end by themselves when the server stops, and again after their signal. */
  readonly drainMs: number;
}

/** Disposing of it stops it gracefully: no new calls, those under way may end, then they are cancelled. */
export interface RpcServer extends AsyncDisposable {
  readonly address: Address;
  readonly callsInFlight: number;
  /** From now on these answer, instead of those before; calls under way go on. */
  replace(services: readonly BoundService[], interceptors: readonly Interceptor[]): void;
  close(): Promise<void>;
}

/** Ties handlers to a service that was loaded under `name`; this is where their types are checked. */
export function bindService<D>(name: string, service: LoadedService, handlers: Handlers<D>): BoundService {
  const entries = Object.entries(handlers) as [string, UntypedHandler][];
  for (const [method] of entries) {
    const definition = service[method];
    if (!definition || definition.requestStream || definition.responseStream) {
      throw new DriverError('internal', `${name} has no unary RPC ${method}`);
    }
  }
  return { name, service, handlers: new Map(entries) };
}

/**
 * Starts to listen.
 * @throws DriverError failed-precondition when the address can't be listened at
 */
export async function serve(options: ServeOptions): Promise<RpcServer> {
  const { address, drainMs } = options;
  const inFlight = new InFlightCalls();
  const server = new Server({ 'grpc.so_reuseport': 0 });
  let services: readonly BoundService[] = [];
  const replace = (next: readonly BoundService[], interceptors: readonly Interceptor[]) => {
    for (const { service } of services) server.removeService(service);
    services = next;
    for (const bound of next) addService(server, bound, interceptors, inFlight);
  };
  replace(options.services, options.interceptors);

  const place = address.kind === 'unix' ? await claimSocketPlace(address.path) : undefined;
  const port = await bind(server, place ? `unix://${place.temporaryPath}` : tcpTarget(address), grpcTarget(address));
  try {
    await place?.publish();
  } catch (error) {
    server.forceShutdown();
    await place?.remove();
    throw error;
  }

  const stop = once(async () => {
    await drain(server, inFlight, drainMs);
    await place?.remove();
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

function addService(
  server: Server,
  { name, service, handlers }: BoundService,
  interceptors: readonly Interceptor[],
  inFlight: InFlightCalls,
): void {
  const implementation = Object.fromEntries(
    [...handlers].map(([method, handler]) => [
      method,
      unaryCall({ service: name, method }, handler, interceptors, inFlight),
    ]),
  );
  server.addService(readingAnything(service), implementation);
}

/** gRPC's server takes `host:port`, not the resolver's URL. */
function tcpTarget(address: Address): string {
  return address.kind === 'tcp' ? `${address.host}:${address.port}` : grpcTarget(address);
}

function bind(server: Server, target: string, shown: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(target, ServerCredentials.createInsecure(), (error, port) => {
      if (!error) resolve(port);
      else
        reject(
          new DriverError('failed-precondition', `can't listen at ${shown}: ${messageOf(error)}`, { cause: error }),
        );
    });
  });
}

async function drain(server: Server, inFlight: InFlightCalls, drainMs: number): Promise<void> {
  // Refuses new calls and ends idle connections; the wait is ours, because it must be bounded.
  server.tryShutdown(() => undefined);
  if (!(await inFlight.settled(drainMs))) {
    inFlight.abort(new DriverError('unavailable', 'the driver is stopping'));
    await inFlight.settled(drainMs);
  }
  // One turn of the event loop for answers that were just given.
  await new Promise((resolve) => setImmediate(resolve));
  server.forceShutdown();
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= work();
    return running;
  };
}
