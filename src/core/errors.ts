/**
 * Every failure that a caller can act on is a DriverError with one of these codes.
 * `rpc/status.ts` maps them to gRPC, both ways; anything else that is thrown becomes INTERNAL there.
 */
export type ErrorCode =
  | 'invalid-argument'
  | 'not-found'
  | 'already-exists'
  | 'out-of-range'
  | 'failed-precondition'
  | 'resource-exhausted'
  | 'aborted'
  | 'unavailable'
  | 'unimplemented'
  | 'unauthenticated'
  | 'permission-denied'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'data-loss'
  | 'internal';

export class DriverError extends Error {
  override readonly name = 'DriverError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A request field is wrong. `field` is its name in the protocol, `reason` says what is allowed. */
export function invalidArgument(field: string, reason: string): DriverError {
  return new DriverError('invalid-argument', `${field}: ${reason}`);
}

export function notFound(kind: 'volume' | 'snapshot' | 'group snapshot' | 'node', id: string): DriverError {
  return new DriverError('not-found', `${kind} ${JSON.stringify(id)} does not exist`);
}

/**
 * What to throw when a signal has fired. It may say more than that: the driver stops, or a deadline has passed.
 * @param what was given up, for the message
 */
export function cancelled(what: string, { reason }: AbortSignal): DriverError {
  if (reason instanceof DriverError) return reason;
  return new DriverError('cancelled', `${what} was cancelled`, { cause: reason });
}

export function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof DriverError && error.code === code;
}

/**
 * What went wrong, in the order in which it did. When the clean-up after an error fails too, `using` throws a
 * SuppressedError, which shows neither: the first is what a caller must know, the others are for the log.
 */
export function errorsOf(thrown: unknown): readonly [first: unknown, ...cleanUp: unknown[]] {
  if (!Error.isError(thrown) || !('suppressed' in thrown && 'error' in thrown)) return [thrown];
  return [...errorsOf(thrown.suppressed), ...errorsOf(thrown.error)];
}

/** Message of anything thrown. */
export function messageOf(error: unknown): string {
  return Error.isError(error) ? error.message : String(error);
}

/** True for a Node.js system error with this code (`ENOENT`, ...). */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  // Not `instanceof`: jest runs tests in a realm of its own, whose Error is another one.
  return Error.isError(error) && 'code' in error && codes.includes(String(error.code));
}
