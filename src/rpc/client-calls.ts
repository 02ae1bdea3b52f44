import {
  type CallOptions as GrpcCallOptions,
  type Client as GrpcClient,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { cancelled } from '../core/wait.ts';
import type { LoadedService } from './proto.ts';
import { fromStatus } from './status.ts';
import type { CallOf, ReplyOf, RpcName } from './types.ts';

export interface CallOptions {
  /** Cancels the call; the answer, should it still come, is dropped. */
  readonly signal?: AbortSignal;
  /** Milliseconds from now after which the call fails with `deadline-exceeded`. */
  readonly timeoutMs?: number;
}

/**
 * The RPCs of a service as promises, or, those in `S`, as messages that are read one by one: whoever reads slowly makes the
 * server wait, whoever stops cancels the call. They fail with a DriverError.
 */
export type RpcClient<D, S extends RpcName<D> = never> = {
  readonly [K in RpcName<D>]: (
    request: CallOf<D, K>,
    options?: CallOptions,
  ) => K extends S ? AsyncIterable<ReplyOf<D, K>> : Promise<ReplyOf<D, K>>;
};

type Definition = LoadedService[string];

export function clientOf<D, S extends RpcName<D> = never>(grpc: GrpcClient, service: LoadedService): RpcClient<D, S> {
  const methods = Object.entries(service)
    .filter(([, { requestStream }]) => !requestStream)
    .map(([name, definition]) => {
      const call = definition.responseStream ? stream : unary;
      return [name, (request: object, options?: CallOptions) => call(grpc, definition, request, options ?? {})];
    });
  // Built from the same .proto that the types were generated from.
  return Object.fromEntries(methods) as RpcClient<D, S>;
}

function unary(
  grpc: GrpcClient,
  { path, requestSerialize, responseDeserialize }: Definition,
  request: object,
  { signal, timeoutMs }: CallOptions,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(cancelled(path, signal));
      return;
    }
    const onAbort = () => call.cancel();
    const done = (error: ServiceError | null, reply?: unknown) => {
      signal?.removeEventListener('abort', onAbort);
      if (!error) resolve(reply);
      else if (signal?.aborted) reject(cancelled(path, signal));
      else reject(fromStatus(error.code, error.details));
    };
    const call = grpc.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      deadlineIn(timeoutMs),
      done,
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

async function* stream(
  grpc: GrpcClient,
  { path, requestSerialize, responseDeserialize }: Definition,
  request: object,
  { signal, timeoutMs }: CallOptions,
): AsyncGenerator<unknown> {
  if (signal?.aborted) throw cancelled(path, signal);
  const call = grpc.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    new Metadata(),
    deadlineIn(timeoutMs),
  );
  // The loop below hears of errors; this is for the one that comes of a cancel after it.
  call.on('error', () => undefined);
  const onAbort = () => call.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    yield* call;
  } catch (error) {
    if (signal?.aborted) throw cancelled(path, signal);
    throw isServiceError(error) ? fromStatus(error.code, error.details) : error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    // Of one that has ended: nothing happens.
    call.cancel();
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return Error.isError(error) && 'code' in error && 'details' in error;
}

function deadlineIn(timeoutMs: number | undefined): GrpcCallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}
