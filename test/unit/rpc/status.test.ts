import { status } from '@grpc/grpc-js';
import { expect, test } from '@jest/globals';
import { DriverError, type ErrorCode } from '../../../src/core/errors.ts';
import { fromStatus, statusName, toStatus } from '../../../src/rpc/status.ts';

const CODES: readonly (readonly [ErrorCode, status])[] = [
  ['invalid-argument', 3],
  ['not-found', 5],
  ['already-exists', 6],
  ['out-of-range', 11],
  ['failed-precondition', 9],
  ['resource-exhausted', 8],
  ['aborted', 10],
  ['unavailable', 14],
  ['unimplemented', 12],
  ['unauthenticated', 16],
  ['permission-denied', 7],
  ['cancelled', 1],
  ['deadline-exceeded', 4],
  ['data-loss', 15],
];
const context = { requestId: 'abc123' };

test.each(CODES)('%s is %d, both ways', (code, grpcCode) => {
  const error = new DriverError(code, 'field: reason');
  expect(toStatus(error, context)).toEqual({ code: grpcCode, details: 'field: reason' });
  expect(fromStatus(grpcCode, 'field: reason')).toMatchObject({ code, message: 'field: reason' });
  expect(statusName(error)).toBe(status[grpcCode]);
});

test('a clean-up that failed too does not hide what the caller did wrong', () => {
  const thrown = new SuppressedError(new Error('device is busy'), new DriverError('not-found', 'no such volume'));
  expect(toStatus(thrown, context)).toEqual({ code: 5, details: 'no such volume' });
  expect(statusName(thrown)).toBe('NOT_FOUND');
});

test('an internal error of ours says what it is, and where the log has more', () => {
  const wire = toStatus(new DriverError('internal', 'pool is odd'), context);
  expect(wire).toEqual({ code: status.INTERNAL, details: 'pool is odd (request abc123)' });
});

test.each([new TypeError('x is undefined'), 'text', undefined, { code: 5, message: 'looks like one' }])(
  'of anything else only the request id gets out: %p',
  (error) => {
    const wire = toStatus(error, context);
    expect(wire).toEqual({
      code: status.INTERNAL,
      details: "internal error; the driver's log has more under request abc123",
    });
    expect(statusName(error)).toBe('INTERNAL');
  },
);

test('codes that we have no word for are internal, and named', () => {
  expect(fromStatus(status.UNKNOWN, 'no')).toMatchObject({ code: 'internal', message: 'UNKNOWN: no' });
  expect(fromStatus(99, 'no')).toMatchObject({ code: 'internal', message: 'gRPC code 99: no' });
});

test('a message fits into a header whatever is in it', () => {
  const { details } = toStatus(new DriverError('not-found', `\ud800${'é'.repeat(5000)}\udc00`), context);
  expect(details.length).toBeLessThan(1100);
  expect(() => encodeURI(details)).not.toThrow();
});
