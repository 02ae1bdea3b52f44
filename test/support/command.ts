import { spawn } from 'node:child_process';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../..');

/** Runs a command in the root of the repository with our own output; resolves to its exit code (128 for a signal). */
export function stream(argv: readonly [string, ...string[]], signal: AbortSignal): Promise<number> {
  const [file, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], signal });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 128));
  });
}
