import type { FsType } from '../core/volume.ts';
import { type CommandResult, run } from './exec.ts';

export interface CheckResult {
  readonly clean: boolean;
  /** What the checker said, for people. */
  readonly output: string;
}

const CHECK_TIMEOUT_MS = 600_000;

interface Checker {
  readonly command: (device: string) => readonly string[];
  /** Exit codes that say "errors found", as opposed to "could not check". */
  readonly dirtyCodes: readonly number[];
}

/**
 * Each changes nothing. Exit codes: e2fsck(8), xfs_repair(8), btrfs-check(8). Those of e2fsck are sums: with 4 for errors
 * that are left it may add 8, when it saw enough and gave up.
 */
const CHECKERS: Readonly<Record<FsType, Checker>> = {
  ext4: { command: (device) => ['e2fsck', '-f', '-n', device], dirtyCodes: [4, 12] },
  xfs: { command: (device) => ['xfs_repair', '-n', device], dirtyCodes: [1] },
  btrfs: { command: (device) => ['btrfs', 'check', '--readonly', device], dirtyCodes: [1] },
};

/**
 * Checks a filesystem that is not mounted, without changing anything.
 * @throws CommandError when the checker itself failed; DriverError cancelled
 */
export async function checkFilesystem(device: string, fsType: FsType, signal?: AbortSignal): Promise<CheckResult> {
  const { command, dirtyCodes } = CHECKERS[fsType];
  const result = await run(command(device), {
    okCodes: [0, ...dirtyCodes],
    timeoutMs: CHECK_TIMEOUT_MS,
    ...(signal && { signal }),
  });
  return { clean: result.exitCode === 0, output: outputOf(result) };
}

function outputOf({ stdout, stderr }: CommandResult): string {
  return [stdout, stderr]
    .map((text) => text.trim())
    .filter(Boolean)
    .join('\n');
}
