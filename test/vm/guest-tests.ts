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
}

export interface GuestTestOptions {
  /** Only tests whose name matches. */
  readonly only?: string;
  readonly timeoutMs?: number;
}

const RUNNER = path.join(import.meta.dirname, 'guest/run-tests.ts');
const FILE_MS = 1_500_000;

/** @throws Error when the runner itself failed */
export async function runGuestTests(
  ground: Ground,
  files: readonly string[],
  { only, timeoutMs = FILE_MS }: GuestTestOptions = {},
): Promise<GuestReport> {
  const filter = only === undefined ? [] : ['--only', only];
  const argv = [process.execPath, '--no-warnings', RUNNER, ...filter, ...files];
  const { code, signal, stdout, stderr } = await ground.exec(argv, { timeoutMs });
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{"tests":')) {
    throw new Error(`the tests ended with ${code ?? signal}, without a report:\n${stdout}${stderr}`);
  }
  return JSON.parse(last) as GuestReport;
}
