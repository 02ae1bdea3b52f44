import { randomUUID } from 'node:crypto';
import type { ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { DriverError } from '../core/errors.ts';
import type { InFlightCalls } from './in-flight-calls.ts';
import { Malformed } from './malformed.ts';
import { peerOf } from './peer.ts';
import { toStatus, type WireStatus } from './status.ts';
import type { CallContext, Interceptor } from './types.ts';

/** A handler whose types were checked where it was bound (`bindService`). */
export type UntypedHandler = (request: unknown, context: CallContext) => Promise<unknown> | AsyncIterable<unknown>;

export interface CallName {
  readonly service: string;
  readonly method: string;
}

/** What goes around every call of a server. */
export interface CallSurroundings {
  /** From the outside in. */
  readonly interceptors: readonly Interceptor[];
  readonly inFlight: InFlightCalls;
}

/** How the end of a call gets to its caller. */
export interface CallEnding {
  readonly done: (response: unknown) => void;
  readonly failed: (status: WireStatus) => void;
}

type ServerCall = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

/**
 * Runs a call through the interceptors. A caller that goes away fires the signal; the handler runs on until it notices, so
 * that it never leaves half a thing, and its locks stay with it.
 */
export function runCall(
  name: CallName,
  call: ServerCall,
  { interceptors, inFlight }: CallSurroundings,
  handle: (request: unknown, context: CallContext) => Promise<unknown>,
  ending: CallEnding,
): void {
  const controller = new AbortController();
  const context = contextOf(name, call, controller.signal);
  // gRPC tells of every stream that has closed, also of one that was answered.
  call.on('cancelled', () => {
    if (inFlight.has(controller)) controller.abort(goneReason(context));
  });
  const { request } = call;
  const chain =
    request instanceof Malformed
      ? async () => request.refuse()
      : interceptors.reduceRight<() => Promise<unknown>>(
          (next, interceptor) => () => interceptor(context, request, next),
          () => explained(() => handle(request, context), context),
        );
  inFlight.add(controller, settle(chain, context, ending));
}

async function settle(
  chain: () => Promise<unknown>,
  context: CallContext,
  { done, failed }: CallEnding,
): Promise<void> {
  try {
    done(await chain());
  } catch (error) {
    failed(toStatus(error, context));
  }
}

/** What is thrown because the signal fired is what the signal says, whatever the thrower made of it. */
async function explained(handle: () => Promise<unknown>, { signal }: CallContext): Promise<unknown> {
  try {
    return await handle();
  } catch (error) {
    if (!signal.aborted || error instanceof DriverError || !(signal.reason instanceof DriverError)) throw error;
    throw new DriverError(signal.reason.code, signal.reason.message, { cause: error });
  }
}

function contextOf({ service, method }: CallName, call: ServerCall, signal: AbortSignal): CallContext {
  const deadline = Number(call.getDeadline());
  const peer = peerOf(call.getAuthContext());
  return {
    service,
    method,
    // 48 random bits. The end of a UUID, because those are made in stock: bytes of their own cost a tenth of a small call.
    requestId: randomUUID().slice(-12),
    signal,
    ...(Number.isFinite(deadline) && { deadline }),
    ...(peer && { peer }),
  };
}

/** gRPC tells a server of a passed deadline as it tells of a caller that hung up. */
function goneReason({ deadline }: CallContext): DriverError {
  return deadline !== undefined && Date.now() >= deadline
    ? new DriverError('deadline-exceeded', "the caller's deadline has passed")
    : new DriverError('cancelled', 'the caller cancelled the call');
}
