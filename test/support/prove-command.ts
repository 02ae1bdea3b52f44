/** The check as a stranger runs it: by the command line. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from './command.ts';

/** The part of `prove --json` that is looked at by tests. */
export interface ProveOutput {
  readonly passed: boolean;
  readonly failure?: string;
  readonly noFence: boolean;
  readonly noBarrier: boolean;
  readonly seed: number;
  readonly nodes: readonly string[];
  readonly rounds: readonly { readonly windowMs?: number; readonly unchecked: readonly unknown[] }[];
  readonly windowMs?: unknown;
  readonly nodeWindowsMs: Readonly<Record<string, unknown>>;
  readonly violations: number;
  readonly violatedRounds: number;
  readonly unchecked: number;
  readonly violationsByKind: { readonly durable: Readonly<Record<string, number>> };
  readonly cleanupFailures: readonly string[];
}

interface Outcome {
  readonly code: number | null;
  readonly report: ProveOutput;
}

/** @throws Error when it prints no report */
export function runProve(...flags: string[]): Outcome {
  return outcomeOf(run(commandLine('prove', '--json', ...flags)));
}

/** The same on a machine where one of its programs is not there, or is this script. */
export function runProveWithout(program: string, instead: string | undefined, ...flags: string[]): Outcome {
  return outcomeOf(runWithout(program, instead, 'prove', '--json', ...flags));
}

/** Any role, there. @param instead the script that is in the program's place; none unless given */
export function runWithout(program: string, instead: string | undefined, ...args: string[]): SpawnSyncReturns<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'cofferdam-without-'));
  const [all, some] = [path.join(folder, 'all'), path.join(folder, 'some')];
  try {
    const place = path.dirname(program);
    mkdirSync(all);
    mkdirSync(some);
    for (const name of readdirSync(place)) symlinkSync(path.join(all, name), path.join(some, name));
    rmSync(path.join(some, path.basename(program)));
    if (instead !== undefined) writeFileSync(path.join(some, path.basename(program)), instead, { mode: 0o755 });
    // In mounts that only these processes see, and that end with them.
    const script = 'mount --bind "$1" "$2" && mount --bind "$3" "$1" && shift 3 && exec "$@"';
    const own = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script, 'sh', place, all, some];
    return run([...own, ...commandLine(...args)]);
  } finally {
    rmdirSync(all); // never through a mount
    rmSync(folder, { recursive: true });
  }
}

function commandLine(...args: string[]): readonly string[] {
  return [process.execPath, path.join(ROOT, 'src/main.ts'), ...args];
}

function run([file = '', ...args]: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(file, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 256 << 20 });
}

function outcomeOf({ status, stdout, stderr }: SpawnSyncReturns<string>): Outcome {
  try {
    return { code: status, report: JSON.parse(stdout) as ProveOutput };
  } catch (cause) {
    throw new Error(`prove printed no report:\n${stderr}`, { cause });
  }
}

/** Of writes that were durable before the call started; buffered ones may be lost without the fence anyway. */
export function durableViolations({ violationsByKind }: Pick<ProveOutput, 'violationsByKind'>): number {
  return Object.values(violationsByKind.durable).reduce((sum, count) => sum + count, 0);
}
