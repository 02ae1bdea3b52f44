import { randomUUID } from 'node:crypto';
import type { handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js';
import { DriverError } from '../core/errors.ts';
import type { InFlightCalls } from './in-flight-calls.ts';
import { Malformed } from './malformed.ts';
import { toStatus } from './status.ts';
import type { CallContext, Interceptor } from './types.ts';

/** A handler whose types were checked where it was bound (`bindService`). */
export type UntypedHandler = (request: unknown, context: CallContext) => Promise<unknown>;

/**
 * Makes a gRPC handler of a promise handler. A caller that goes away fires the signal; the handler runs on until it
 * notices, so that it never leaves half a thing, and its locks stay with it.
 */
export function unaryCall(
  name: { readonly service: string; readonly method: string },
  handler: UntypedHandler,
  interceptors: readonly Interceptor[],
  inFlight: InFlightCalls,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    const controller = new AbortController();
    const context = contextOf(name, call, controller.signal);
    // gRPC tells of every stream that has closed, also of one that was answered.
    call.on('cancelled', () => {
      if (inFlight.has(controller)) controller.abort(goneReason(context));
    });
    const { request } = call;
    if (request instanceof Malformed) {
      inFlight.add(
        controller,
        settle(async () => request.refuse(), context, callback),
      );
      return;
    }
    const chain = interceptors.reduceRight<() => Promise<unknown>>(
      (next, interceptor) => () => interceptor(context, request, next),
      () => explained(handler, request, context),
    );
    inFlight.add(controller, settle(chain, context, callback));
  };
}

async function settle(
  chain: () => Promise<unknown>,
  context: CallContext,
  callback: Parameters<handleUnaryCall<unknown, unknown>>[1],
): Promise<void> {
  try {
    callback(null, await chain());
  } catch (error) {
    callback(toStatus(error, context));
  }
}

/** What is thrown because the signal fired is what the signal says, whatever the thrower made of it. */
async function explained(handler: UntypedHandler, request: unknown, context: CallContext): Promise<unknown> {
  try {
    return await handler(request, context);
  } catch (error) {
    const { signal } = context;
    if (!signal.aborted || error instanceof DriverError || !(signal.reason instanceof DriverError)) throw error;
    throw new DriverError(signal.reason.code, signal.reason.message, { cause: error });
  }
}

function contextOf(
  { service, method }: { readonly service: string; readonly method: string },
  call: ServerUnaryCall<unknown, unknown>,
  signal: AbortSignal,
): CallContext {
  const deadline = Number(call.getDeadline());
  return {
    service,
    method,
    // 48 random bits. The end of a UUID, because those are made in stock: bytes of their own cost a tenth of a small call.
    requestId: randomUUID().slice(-12),
    signal,
    ...(Number.isFinite(deadline) && { deadline }),
  };
}

/** gRPC tells a server of a passed deadline as it tells of a caller that hung up. */
function goneReason({ deadline }: CallContext): DriverError {
  return deadline !== undefined && Date.now() >= deadline
    ? new DriverError('deadline-exceeded', "the caller's deadline has passed")
    : new DriverError('cancelled', 'the caller cancelled the call');
}
