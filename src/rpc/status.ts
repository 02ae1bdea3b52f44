import { status } from '@grpc/grpc-js';
import { DriverError, type ErrorCode, errorsOf, isErrno } from '../core/errors.ts';
import type { CallContext } from './types.ts';

/** The one table between our codes and gRPC's (CSI specification, "Error Scheme"). */
const GRPC_CODES = {
  'invalid-argument': status.INVALID_ARGUMENT,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'out-of-range': status.OUT_OF_RANGE,
  'failed-precondition': status.FAILED_PRECONDITION,
  'resource-exhausted': status.RESOURCE_EXHAUSTED,
  aborted: status.ABORTED,
  unavailable: status.UNAVAILABLE,
  unimplemented: status.UNIMPLEMENTED,
  unauthenticated: status.UNAUTHENTICATED,
  'permission-denied': status.PERMISSION_DENIED,
  cancelled: status.CANCELLED,
  'deadline-exceeded': status.DEADLINE_EXCEEDED,
  'data-loss': status.DATA_LOSS,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

const DRIVER_CODES = new Map<number, ErrorCode>(
  (Object.entries(GRPC_CODES) as [ErrorCode, status][]).map(([code, grpcCode]) => [grpcCode, code]),
);

/** A full disk is nobody's fault, whatever call it happens to: callers try again. */
const NO_SPACE = ['ENOSPC', 'EDQUOT'] as const;

/** Messages travel in a header, percent-encoded: bounded so that no peer refuses the answer for its size. */
const MAX_MESSAGE_LENGTH = 1024;

export interface WireStatus {
  readonly code: status;
  readonly details: string;
}

/**
 * What the caller is told of a failure. Only a DriverError speaks for itself; of anything else the caller learns the
 * request id, and the log the rest.
 */
export function toStatus(thrown: unknown, context: Pick<CallContext, 'requestId'>): WireStatus {
  const [error] = errorsOf(thrown);
  if (isErrno(error, ...NO_SPACE)) {
    return { code: status.RESOURCE_EXHAUSTED, details: `no space is left on the node (request ${context.requestId})` };
  }
  if (!(error instanceof DriverError)) {
    return {
      code: status.INTERNAL,
      details: `internal error; the driver's log has more under request ${context.requestId}`,
    };
  }
  const suffix = error.code === 'internal' ? ` (request ${context.requestId})` : '';
  return { code: GRPC_CODES[error.code], details: `${clip(error.message)}${suffix}` };
}

/** The name of the code that `toStatus` gives, for logs and metrics: `INVALID_ARGUMENT`. */
export function statusName(thrown: unknown): string {
  const [error] = errorsOf(thrown);
  if (isErrno(error, ...NO_SPACE)) return 'RESOURCE_EXHAUSTED';
  const code = error instanceof DriverError ? GRPC_CODES[error.code] : status.INTERNAL;
  return status[code] ?? String(code);
}

/** The other way, for clients: codes that we have no word for become `internal` and are named in the message. */
export function fromStatus(code: number, details: string): DriverError {
  const known = DRIVER_CODES.get(code);
  if (known) return new DriverError(known, details);
  return new DriverError('internal', `${status[code] ?? `gRPC code ${code}`}: ${details}`);
}

function clip(message: string): string {
  // gRPC percent-encodes the message, and encodeURI throws on a lone surrogate.
  const text = message.toWellFormed();
  return text.length <= MAX_MESSAGE_LENGTH ? text : `${text.slice(0, MAX_MESSAGE_LENGTH).toWellFormed()}...`;
}
