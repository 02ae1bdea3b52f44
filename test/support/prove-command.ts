/** The check as a stranger runs it: by the command line. */
import { spawnSync } from 'node:child_process';
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
  readonly rounds: readonly { readonly windowMs?: number }[];
  readonly windowMs?: unknown;
  readonly nodeWindowsMs: Readonly<Record<string, unknown>>;
  readonly violations: number;
  readonly violationsByKind: { readonly durable: Readonly<Record<string, number>> };
  readonly cleanupFailures: readonly string[];
}

/** @throws Error when it prints no report */
export function runProve(...flags: string[]): { readonly code: number | null; readonly report: ProveOutput } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(ROOT, 'src/main.ts'), 'prove', '--json', ...flags],
    { cwd: ROOT, encoding: 'utf8', maxBuffer: 256 << 20 },
  );
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
