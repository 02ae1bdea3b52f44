import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { DriverError } from '../core/errors.ts';
import { COMMAND_PATH, describeMissing } from './tools.ts';

/** @throws DriverError failed-precondition unless the process is root */
export function requireRoot(): void {
  if (process.geteuid?.() !== 0) {
    throw new DriverError('failed-precondition', 'this needs root: loop devices, mounts and freezing are root only');
  }
}

/** @throws DriverError failed-precondition that lists every one of the commands that is missing, with its package */
export async function requireTools(names: readonly string[]): Promise<void> {
  const found = await Promise.all(names.map(isInstalled));
  const missing = names.filter((_, index) => !found[index]);
  if (missing.length > 0) throw new DriverError('failed-precondition', missing.map(describeMissing).join('; '));
}

async function isInstalled(name: string): Promise<boolean> {
  for (const folder of COMMAND_PATH) {
    try {
      await access(join(folder, name), constants.X_OK);
      return true;
    } catch {
      // Not in this folder.
    }
  }
  return false;
}
