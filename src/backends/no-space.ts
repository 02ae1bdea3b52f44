import { DriverError, isErrno } from '../core/errors.ts';

/** @throws DriverError resource-exhausted when the pool has no space for the work; else what the work throws */
export async function noSpaceIsExhausted<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isErrno(cause, 'ENOSPC', 'EDQUOT')) throw cause;
    throw new DriverError('resource-exhausted', 'the pool is full', { cause });
  }
}
