/** Runs test files where there is device-mapper: here, or in a virtual machine. */
import path from 'node:path';
import type { Ground } from './ground.ts';

export interface GuestTest {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly errors: readonly string[];
  readonly ms: number;
}

export interface GuestReport {
  readonly tests: readonly GuestTest[];
  readonly unhandledErrors: readonly string[];
  /** What the tests wrote to standard output. */
  readonly said: readonly string[];
}

export interface GuestTestOptions {
  /** Only tests whose name matches; the others are skipped. */
  readonly only?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

const RUNNER = path.join(import.meta.dirname, 'guest/run-tests.ts');
/** 50 rounds of 16 volumes take hours when emulated. */
const FILE_MS = 6 * 3_600_000;

/** @throws Error when the runner itself failed */
export async function runGuestTests(
  ground: Ground,
  files: readonly string[],
  { only, env = {}, timeoutMs = FILE_MS }: GuestTestOptions = {},
): Promise<GuestReport> {
  const filter = only === undefined ? [] : ['--only', only];
  const argv = [process.execPath, '--no-warnings', RUNNER, ...filter, ...files];
  const { code, signal, stdout, stderr } = await ground.exec(argv, { env, timeoutMs });
  const lines = stdout.trimEnd().split('\n');
  const last = lines.pop() ?? '';
  if (!last.startsWith('{"tests":')) {
    throw new Error(`the tests ended with ${code ?? signal}, without a report:\n${stdout}${stderr}`);
  }
  return { ...(JSON.parse(last) as Omit<GuestReport, 'said'>), said: lines };
}
