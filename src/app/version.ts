import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The version in package.json, the same for sources and for what was built of them. */
export const VERSION = readVersion(import.meta.dirname);

function readVersion(folder: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    if (name === 'cofferdam' && version !== undefined) return version;
  } catch {
    // Not in this folder: look one higher.
  }
  const above = path.dirname(folder);
  if (above === folder) throw new Error('package.json of cofferdam not found');
  return readVersion(above);
}
