/** The tiers of `npm test`, in the order they run: what is quick and says most comes first. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { runSanity, SANITY_RUNS } from '../sanity/sanity.ts';
import { runLvmSoakTier, runLvmTier } from '../vm/lvm.ts';
import { ROOT, stream } from './command.ts';
import { addUp, complain, NOTHING, type Tally, verdict } from './tally.ts';

const EXIT_LIMIT_MS = 30_000;

export interface TestRun {
  /** A folder for reports. */
  readonly reports: string;
  /** Somebody wants the run to end. */
  readonly signal: AbortSignal;
}

export interface Tier {
  readonly name: string;
  readonly needsRoot: boolean;
  /** Takes long: runs when it is named, and in `npm run test:soak`, which runs all of these. */
  readonly soak?: true;
  run(run: TestRun): Promise<Tally>;
}

export const TIERS: readonly Tier[] = [
  { name: 'check', needsRoot: false, run: runChecks },
  jestTier('unit', false),
  { name: 'contract', needsRoot: true, run: runContractTier },
  jestTier('integration', true),
  { name: 'lvm', needsRoot: true, run: ({ signal }) => runLvmTier(signal) },
  { name: 'sanity', needsRoot: true, run: runSanityTier },
  jestTier('prove', true),
  jestTier('fault', true),
  jestTier('cluster', true),
  jestTier('scale', false),
  { name: 'vm', needsRoot: true, soak: true, run: runVmTier },
  { name: 'lvm-soak', needsRoot: true, soak: true, run: ({ signal }) => runLvmSoakTier(signal) },
  { ...jestTier('soak', true), soak: true },
];

async function runChecks({ signal }: TestRun): Promise<Tally> {
  const tallies: Tally[] = [];
  for (const script of ['check:format', 'check:types', 'check:promises'])
    tallies.push(verdict((await stream(['npm', 'run', '--silent', script], signal)) === 0));
  return addUp(tallies);
}

/** The virtual machine itself, and what only a machine that can be switched off shows: power cuts. */
async function runVmTier(run: TestRun): Promise<Tally> {
  if ((await stream(['tools/ensure-packages.sh', '--lvm'], run.signal)) !== 0) return verdict(false);
  return await runJest('vm', run, true);
}

async function runContractTier(run: TestRun): Promise<Tally> {
  if ((await stream(['test/tools/build.sh', 'csi-descriptor'], run.signal)) !== 0) return verdict(false);
  return await runJest('contract', run, true);
}

async function runSanityTier({ signal }: TestRun): Promise<Tally> {
  if ((await stream(['test/tools/build.sh', 'csi-sanity'], signal)) !== 0) return verdict(false);
  const tallies: Tally[] = [];
  for (const run of SANITY_RUNS) {
    console.log(
      `\ncsi-sanity: ${run.accessType}${run.health ? ', with health' : ''}${run.apart ? ', controller and node apart' : ''}`,
    );
    tallies.push(await runSanity(run, signal).catch(complain));
  }
  return addUp(tallies);
}

function jestTier(name: string, needsRoot: boolean): Tier {
  return { name, needsRoot, run: (run) => runJest(name, run, needsRoot) };
}

/** The part of jest's `--json` report that we count. */
interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  /** Files that failed before a test of theirs ran. */
  readonly numRuntimeErrorTestSuites: number;
}

async function runJest(name: string, { reports, signal }: TestRun, serial: boolean): Promise<Tally> {
  const report = path.join(reports, `${name}.json`);
  const jest = path.join(ROOT, 'node_modules/jest/bin/jest.js');
  const flags = ['--selectProjects', name, '--json', '--outputFile', report, '--ci'];
  // Tiers that share the machine's loop devices and mounts run one file at a time.
  flags.push(...(serial ? ['--runInBand'] : ['--maxWorkers', '100%']));
  using hung = new HungRun(report);
  const command = [process.execPath, '--experimental-vm-modules', '--no-warnings', jest, ...flags] as const;
  const code = await stream(command, AbortSignal.any([signal, hung.signal])).catch((error: unknown) => {
    if (!hung.signal.aborted) throw error;
    console.error(`${name}: the tests ended, but something that they left open kept their process alive`);
    return 1;
  });
  const tally = await readFile(report, 'utf8').then(
    (text) => tallyOf(JSON.parse(text) as JestReport),
    () => NOTHING, // jest did not get as far as a report
  );
  // For example an open handle or a coverage threshold: jest says no although every test said yes.
  return code !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

/** jest waits for ever for what a test left open; its report is out by then. */
class HungRun implements Disposable {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #limit: NodeJS.Timeout | undefined;

  constructor(report: string) {
    this.#timer = setInterval(() => {
      if (existsSync(report)) this.#limit ??= setTimeout(() => this.#abort.abort(), EXIT_LIMIT_MS);
    }, 1000);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    clearTimeout(this.#limit);
  }
}

export function tallyOf(report: JestReport): Tally {
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
