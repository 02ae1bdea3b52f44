import type { Backend } from '../core/backend.ts';
import { formatBytes, MiB } from '../core/bytes.ts';
import { DriverError } from '../core/errors.ts';
import { CommandError } from '../host/exec.ts';

/** An XFS keeps some back, and a copy on write needs blocks for its bookkeeping: writes fail with that much still free. */
const AS_GOOD_AS_FULL = 16n * MiB;

/**
 * A volume promises more than its pool may have: the tools and the kernel that write to its device then say that there is
 * no space, or that there was an I/O error, whatever they were doing.
 * @throws DriverError resource-exhausted for that; else what the work throws
 */
export async function fullPoolIsExhausted<T>(
  backend: Pick<Backend, 'capacity'>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const failed = commandOf(cause);
    if (!failed) throw cause;
    const { freeBytes } = await backend.capacity(signal);
    const said = `${failed.stderr}${failed.stdout}`;
    const full = said.includes('Input/output error') && freeBytes < AS_GOOD_AS_FULL;
    if (!full && !said.includes('No space left on device')) throw cause;
    const reason = `the pool is full (${formatBytes(freeBytes)} free): ${failed.argv[0]} failed`;
    throw new DriverError('resource-exhausted', reason, { cause });
  }
}

function commandOf(error: unknown): CommandError | undefined {
  if (error instanceof CommandError) return error;
  return error instanceof DriverError && error.cause instanceof CommandError ? error.cause : undefined;
}
