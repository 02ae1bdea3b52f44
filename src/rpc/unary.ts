import type { handleUnaryCall } from '@grpc/grpc-js';
import { type CallName, type CallSurroundings, runCall, type UntypedHandler } from './call.ts';

/** Makes a gRPC handler of a promise handler. */
export function unaryCall(
  name: CallName,
  handler: UntypedHandler,
  surroundings: CallSurroundings,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    runCall(
      name,
      call,
      surroundings,
      async (request, context) => await (handler(request, context) as Promise<unknown>),
      {
        done: (response) => callback(null, response),
        failed: (status) => callback(status),
      },
    );
  };
}
