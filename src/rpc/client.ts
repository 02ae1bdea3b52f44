import {
  credentials,
  type CallOptions as GrpcCallOptions,
  Client as GrpcClient,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { DriverError } from '../core/errors.ts';
import { grpcTarget, parseAddress } from './address.ts';
import type { LoadedService } from './proto.ts';
import { fromStatus } from './status.ts';
import type { CallOf, ReplyOf, RpcName } from './types.ts';

export interface CallOptions {
  /** Cancels the call; the answer, should it still come, is dropped. */
  readonly signal?: AbortSignal;
  /** Milliseconds from now after which the call fails with `deadline-exceeded`. */
  readonly timeoutMs?: number;
}

/** The RPCs of a service as promises; they reject with a DriverError. */
export type RpcClient<D> = {
  readonly [K in RpcName<D>]: (request: CallOf<D, K>, options?: CallOptions) => Promise<ReplyOf<D, K>>;
};

/** A connection, shared by the clients made of it. It connects when it is first used, and again after a loss. */
export interface RpcChannel extends Disposable {
  client<D>(service: LoadedService): RpcClient<D>;
  /** Waits until the server can be reached. @throws DriverError unavailable after `timeoutMs` */
  waitForReady(timeoutMs: number): Promise<void>;
  close(): void;
}

/** An answer may be a list of everything. */
const MAX_REPLY_BYTES = 256 * 1024 * 1024;

/**
 * @param endpoint `unix:///path` or `tcp://host:port`
 * @throws DriverError invalid-argument when it is neither
 */
export function connect(endpoint: string): RpcChannel {
  const address = parseAddress('endpoint', endpoint);
  const grpc = new GrpcClient(grpcTarget(address), credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_REPLY_BYTES,
    // Retries are the caller's business: a hidden one would hide an error from whoever tests for it.
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
  });
  const close = () => grpc.close();
  return {
    client: <D>(service: LoadedService) => clientOf<D>(grpc, service),
    waitForReady: (timeoutMs) => waitForReady(grpc, endpoint, timeoutMs),
    close,
    [Symbol.dispose]: close,
  };
}

function clientOf<D>(grpc: GrpcClient, service: LoadedService): RpcClient<D> {
  const methods = Object.entries(service)
    .filter(([, { requestStream, responseStream }]) => !requestStream && !responseStream)
    .map(([name, definition]) => [
      name,
      (request: object, options?: CallOptions) => unary(grpc, definition, request, options ?? {}),
    ]);
  // Built from the same .proto that the types were generated from.
  return Object.fromEntries(methods) as RpcClient<D>;
}

function unary(
  grpc: GrpcClient,
  definition: LoadedService[string],
  request: object,
  { signal, timeoutMs }: CallOptions,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(cancelled(definition.path, signal));
      return;
    }
    const options: GrpcCallOptions = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    const onAbort = () => call.cancel();
    const done = (error: ServiceError | null, reply?: unknown) => {
      signal?.removeEventListener('abort', onAbort);
      if (!error) resolve(reply);
      else if (signal?.aborted) reject(cancelled(definition.path, signal));
      else reject(fromStatus(error.code, error.details));
    };
    const { path, requestSerialize, responseDeserialize } = definition;
    const call = grpc.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      options,
      done,
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function cancelled(path: string, signal: AbortSignal): DriverError {
  return new DriverError('cancelled', `${path} was cancelled`, { cause: signal.reason });
}

function waitForReady(grpc: GrpcClient, endpoint: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    grpc.waitForReady(Date.now() + timeoutMs, (error) => {
      if (error) reject(new DriverError('unavailable', `nobody answers at ${endpoint}`, { cause: error }));
      else resolve();
    });
  });
}
