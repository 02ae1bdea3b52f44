import { readFile, writeFile } from 'node:fs/promises';
import { isErrno } from '../core/errors.ts';

const RCU_EXPEDITED = '/sys/kernel/rcu_expedited';

/**
 * Whether the kernel expedites RCU grace periods (1) or not (0): a freeze waits for one, 25 to 30 ms each otherwise.
 * @returns undefined where the kernel has no such switch
 */
export async function readRcuExpedited(): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(RCU_EXPEDITED, 'utf8'), 10);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** System-wide: raise it for the window only, and put back what was read before. */
export async function writeRcuExpedited(value: number): Promise<void> {
  await writeFile(RCU_EXPEDITED, `${value}\n`);
}
