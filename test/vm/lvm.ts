/** The tests of the LVM backend, in one ground after the other. */
import path from 'node:path';
import { ROOT, stream } from '../support/command.ts';
import { addUp, type Tally, verdict } from '../support/tally.ts';
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
  { file: 'test/prove/lvm-thin.ts', only: 'of 3 volumes', proveRounds: 3 },
  { file: 'test/fault/lvm-thin.ts', only: 'killed at round.frozen|killed at snapshot.sealed|with its guard' },
];

const ALWAYS: readonly Part[] = [
  { file: 'test/contract/lvm-thin.ts' },
  { file: 'test/integration/lvm/pool.ts' },
  { file: 'test/integration/lvm/mixed-round.ts' },
];

const SANITY_MS = 900_000;

export async function runLvmTier(signal: AbortSignal): Promise<Tally> {
  if ((await stream(['test/tools/build.sh', 'csi-sanity'], signal)) !== 0) return verdict(false);
  return await inGround(signal, (ground) => [
    () => runSanityThere(ground, 'mount'),
    () => runSanityThere(ground, 'block'),
    ...parts(ground, [...ALWAYS, ...(ground.emulated ? EMULATED : WHOLE)]),
  ]);
}

/** What the tier leaves out of an emulated machine. */
export async function runLvmSoakTier(signal: AbortSignal): Promise<Tally> {
  return await inGround(signal, (ground) => parts(ground, WHOLE));
}

type Run = () => Promise<Tally>;

function parts(ground: Ground, chosen: readonly Part[]): readonly Run[] {
  return chosen.map((part) => () => runPart(ground, part));
}

async function inGround(signal: AbortSignal, runsOf: (ground: Ground) => readonly Run[]): Promise<Tally> {
  if ((await stream(['tools/ensure-packages.sh', '--lvm'], signal)) !== 0) return verdict(false);
  const tallies: Tally[] = [];
  await using ground = await openGround();
  for (const run of runsOf(ground)) if (!signal.aborted) tallies.push(await run());
  return addUp(tallies);
}

async function runPart(ground: Ground, { file, proveRounds, ...filter }: Part): Promise<Tally> {
  console.log(`\n${file}`);
  const rounds = process.env.PROVE_ROUNDS ?? proveRounds;
  const env = rounds === undefined ? {} : { PROVE_ROUNDS: String(rounds) };
  const { tests, unhandledErrors, said } = await runGuestTests(ground, [file], { ...filter, env });
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
  console.log(`\ncsi-sanity: ${accessType}, on lvm-thin`);
  const argv = [process.execPath, '--no-warnings', path.join(ROOT, 'test/sanity/lvm-thin.ts'), accessType];
  const { code, stdout, stderr } = await ground.exec(argv, { timeoutMs: SANITY_MS });
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  const tally = last.startsWith('{"passed"') ? (JSON.parse(last) as Tally) : verdict(false);
  if (code !== 0 || tally.failed > 0) console.error(`${stdout}${stderr}`);
  console.log(`  ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
  return tally;
}
