/** Our own driver, from the sources or compiled. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const SOURCES = path.join(ROOT, 'src/main.ts');
export const NODE_NAME = 'bench';
/** Of `npm start` and of the image. */
const YOUNG_FLAG = '--max-semi-space-size=2';

export interface ServeOptions {
  readonly main: string;
  readonly dataDir: string;
  readonly flags?: readonly string[];
}

/** Failures only in the log: it is compared with drivers that are as quiet. */
export function serveCommand({ main, dataDir, flags = [] }: ServeOptions): (endpoint: string) => readonly string[] {
  return (endpoint) => [
    ...[process.execPath, YOUNG_FLAG, main, 'serve', '--endpoint', endpoint],
    ...['--data-dir', dataDir, '--node-name', NODE_NAME],
    ...['--log-level', 'warn', '--overcommit-ratio', '1000', ...flags],
  ];
}

export function controllerCommand(flags: readonly string[]): (endpoint: string) => readonly string[] {
  return (endpoint) => [
    ...[process.execPath, YOUNG_FLAG, SOURCES, 'controller', '--endpoint', endpoint, '--log-level', 'warn', ...flags],
  ];
}

/** What `npm run build` makes, in a folder of its own, with what a package has beside it. @returns its main.js */
export function buildCofferdam(folder: string): string {
  mkdirSync(folder, { recursive: true });
  cpSync(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
  for (const name of ['node_modules', 'csi-proto']) symlinkSync(path.join(ROOT, name), path.join(folder, name));
  const dist = path.join(folder, 'dist');
  execFileSync(process.execPath, [path.join(ROOT, 'scripts/build.ts'), dist], { stdio: 'inherit' });
  return path.join(dist, 'src/main.js');
}
