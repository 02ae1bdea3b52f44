/**
 * Runs jest test files in this process, by jest's own runner of tests: `run-tests.ts [--only PATTERN] FILE...`.
 * The last line of standard output is the report; exit code 1 when a test failed.
 */
import { createRequire, registerHooks } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { GuestReport } from '../guest-tests.ts';

/** Of one test; no test may fail because the machine is slow. */
const TEST_MS = 900_000;

interface Circus {
  getState(): Record<string, unknown>;
  setState(state: Record<string, unknown>): void;
  run(): Promise<{
    readonly unhandledErrors: readonly unknown[];
    readonly testResults: readonly {
      readonly testPath: readonly string[];
      readonly status: 'done' | 'skip' | 'todo';
      readonly errors: readonly string[];
      readonly duration?: number | null;
    }[];
  }>;
}

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@jest/globals'
      ? { url: new URL('./globals.ts', import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
});

const { values, positionals } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true });
const ofJest = createRequire(createRequire(import.meta.url).resolve('jest/package.json'));
const circus = ofJest('jest-circus') as Circus;
const testNamePattern = values.only === undefined ? undefined : new RegExp(values.only, 'i');
circus.setState({ ...circus.getState(), testTimeout: TEST_MS, testNamePattern });
for (const file of positionals) await import(pathToFileURL(path.resolve(file)).href);

const { testResults, unhandledErrors } = await circus.run();
const report: Omit<GuestReport, 'said'> = {
  tests: testResults.map(({ testPath, status, errors, duration }) => ({
    name: testPath.slice(1).join(' › '), // without the root
    status: status === 'done' ? (errors.length === 0 ? 'passed' : 'failed') : 'skipped',
    errors,
    ms: Math.round(duration ?? 0),
  })),
  unhandledErrors: unhandledErrors.map(String),
};
const failed = report.unhandledErrors.length > 0 || report.tests.some(({ status }) => status === 'failed');
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(Number(failed)));
