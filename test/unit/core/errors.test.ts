import { expect, test } from '@jest/globals';
import { DriverError, errorsOf } from '../../../src/core/errors.ts';

/** Throws while it is disposed of, as a mount that is busy does. */
function stubborn(name: string): Disposable {
  return {
    [Symbol.dispose]: () => {
      throw new Error(`${name} can not be cleaned up`);
    },
  };
}

function failing(): void {
  using _pool = stubborn('pool');
  using _device = stubborn('device');
  throw new DriverError('not-found', 'no such volume');
}

test('what went wrong first comes first, whatever failed in the clean-up after it', () => {
  let thrown: unknown;
  try {
    failing();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).not.toBeInstanceOf(DriverError); // else this test shows nothing
  const messages = ['no such volume', 'device can not be cleaned up', 'pool can not be cleaned up'];
  expect(errorsOf(thrown).map((error) => (error as Error).message)).toEqual(messages);
});

test.each([new Error('one'), new DriverError('internal', 'one', { cause: new Error('two') }), 'text', undefined])(
  '%s is one error',
  (thrown) => {
    expect(errorsOf(thrown)).toEqual([thrown]);
  },
);
