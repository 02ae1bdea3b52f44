/** The tests of the LVM backend: one after the other where they run here, spread over several machines when emulated. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { ROOT, stream } from '../support/command.ts';
import { addUp, complain, type Tally, verdict } from '../support/tally.ts';
import { type Ground, openGround } from './ground.ts';
import { runGuestTests } from './guest-tests.ts';

/** A file of tests for the ground, or some of it. */
interface Part {
  readonly file: string;
  /** Only tests whose name matches. */
  readonly only?: string;
  /** Of `prove`; the environment's `PROVE_ROUNDS` wins. */
  readonly proveRounds?: number;
}

const WHOLE: readonly Part[] = [
  { file: 'test/prove/lvm-thin.ts', proveRounds: 50 },
  { file: 'test/fault/lvm-thin.ts' },
];

/** What of it an emulated machine has time for in every run; the whole takes it hours. */
const EMULATED: readonly Part[] = [
  { file: 'test/prove/lvm-thin.ts', only: 'of 3 volumes', proveRounds: 2 },
  { file: 'test/prove/lvm-thin.ts', only: 'of 8 volumes', proveRounds: 1 },
  { file: 'test/fault/lvm-thin.ts', only: 'killed at round.frozen|killed at snapshot.sealed|with its guard' },
];

const CONTRACT: Part = { file: 'test/contract/lvm-thin.ts' };
const INTEGRATION: readonly Part[] = [
  { file: 'test/integration/lvm/pool.ts' },
  { file: 'test/integration/lvm/mixed-round.ts' },
];

const SANITY_MS = 900_000;
/** Each holds 1.5 GiB of memory and works on one processor. */
const MOST_MACHINES = 4;

export async function runLvmTier(signal: AbortSignal): Promise<Tally> {
  if ((await stream(['test/tools/build.sh', 'csi-sanity'], signal)) !== 0) return verdict(false);
  // What takes longest first: nobody waits for it at the end.
  return await inGrounds(signal, (emulated) => [
    partRun(CONTRACT),
    sanityRun('mount'),
    sanityRun('block'),
    ...[...(emulated ? EMULATED : WHOLE), ...INTEGRATION].map(partRun),
  ]);
}

/** What the tier leaves out of an emulated machine. */
export async function runLvmSoakTier(signal: AbortSignal): Promise<Tally> {
  return await inGrounds(signal, () => WHOLE.map(partRun));
}

/** Prints its result when it has it. */
type Run = (ground: Ground) => Promise<Tally>;

async function inGrounds(signal: AbortSignal, runsOf: (emulated: boolean) => readonly Run[]): Promise<Tally> {
  if ((await stream(['tools/ensure-packages.sh', '--lvm'], signal)) !== 0) return verdict(false);
  await using first = await openGround(signal);
  const runs = runsOf(first.emulated);
  const grounds = first.emulated ? Math.min(availableParallelism(), MOST_MACHINES, runs.length) : 1;
  const tallies: Tally[] = [];
  const waiting = runs.values();
  const work = async (ground: Ground) => {
    for (const run of waiting) {
      if (signal.aborted) return;
      tallies.push(await run(ground).catch(complain));
    }
  };
  const workElsewhere = async () => {
    await using ground = await openGround(signal);
    await work(ground);
  };
  const others = Array.from({ length: grounds - 1 }, () =>
    workElsewhere().catch((error) => tallies.push(complain(error))),
  );
  await Promise.all([work(first), ...others]);
  return addUp(tallies);
}

function partRun(part: Part): Run {
  return (ground) => runPart(ground, part);
}

function sanityRun(accessType: 'mount' | 'block'): Run {
  return (ground) => runSanityThere(ground, accessType);
}

async function runPart(ground: Ground, { file, proveRounds, ...filter }: Part): Promise<Tally> {
  const rounds = process.env.PROVE_ROUNDS ?? proveRounds;
  const env = rounds === undefined ? {} : { PROVE_ROUNDS: String(rounds) };
  const { tests, unhandledErrors, said } = await runGuestTests(ground, [file], { ...filter, env });
  console.log(`\n${file}`);
  for (const line of said) console.log(`  ${line}`);
  const ran = tests.filter(({ status }) => filter.only === undefined || status !== 'skipped');
  for (const { name, status, errors, ms } of ran) {
    console.log(`  ${status === 'passed' ? '✓' : '✕'} ${name} (${ms} ms)`);
    for (const error of errors) console.error(error);
  }
  for (const error of unhandledErrors) console.error(error);
  const count = (status: string) => ran.filter((test) => test.status === status).length;
  return { passed: count('passed'), failed: count('failed') + unhandledErrors.length, skipped: count('skipped') };
}

async function runSanityThere(ground: Ground, accessType: 'mount' | 'block'): Promise<Tally> {
  const argv = [process.execPath, '--no-warnings', path.join(ROOT, 'test/sanity/lvm-thin.ts'), accessType];
  const { code, stdout, stderr } = await ground.exec(argv, { timeoutMs: SANITY_MS });
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  const tally = last.startsWith('{"passed"') ? (JSON.parse(last) as Tally) : verdict(false);
  console.log(`\ncsi-sanity: ${accessType}, on lvm-thin`);
  if (code !== 0 || tally.failed > 0) console.error(`${stdout}${stderr}`);
  console.log(`  ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
  return tally;
}
