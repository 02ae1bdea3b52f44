import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import { type CallName, type CallSurroundings, runCall, type UntypedHandler } from './call.ts';

type Call = ServerWritableStream<unknown, unknown>;

/** Makes a gRPC handler of an iterable: a caller that reads slowly makes it wait. */
export function streamCall(
  name: CallName,
  handler: UntypedHandler,
  surroundings: CallSurroundings,
): handleServerStreamingCall<unknown, unknown> {
  return (call) => {
    runCall(
      name,
      call,
      surroundings,
      (request, context) => sendAll(call, handler(request, context) as AsyncIterable<unknown>, context.signal),
      {
        done: () => call.end(),
        // As gRPC has it; it ends the call.
        failed: (status) => call.emit('error', status),
      },
    );
  };
}

async function sendAll(call: Call, messages: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  for await (const message of messages) await send(call, message, signal);
}

/** Until the message is on its way. gRPC does not call back when the caller has gone. */
function send(call: Call, message: unknown, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(signal.reason);
    if (signal.aborted) {
      gone();
      return;
    }
    signal.addEventListener('abort', gone, { once: true });
    call.write(message, (error: Error | null | undefined) => {
      signal.removeEventListener('abort', gone);
      if (error) reject(error);
      else resolve();
    });
  });
}
