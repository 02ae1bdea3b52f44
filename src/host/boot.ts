import { readFile } from 'node:fs/promises';

/** Differs from one start of the machine to the next; the same in every container. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
