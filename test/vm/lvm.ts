/** The tests of the LVM backend, in one ground after the other. */
import path from 'node:path';
import { ROOT, stream } from '../support/command.ts';
import { addUp, type Tally, verdict } from '../support/tally.ts';
import { type Ground, openGround } from './ground.ts';
import { runGuestTests } from './guest-tests.ts';

/** A file of tests for the ground, or some of it: there a second of this machine takes ten or more. */
interface Part {
  readonly file: string;
  /** Only tests whose name matches. */
  readonly only?: string;
  /** Of `prove`; the environment's `PROVE_ROUNDS` wins. */
  readonly proveRounds?: number;
}

/** What every run of the tests has time for. */
const SHORT: readonly Part[] = [
  { file: 'test/contract/lvm-thin.ts' },
  { file: 'test/integration/lvm/pool.ts' },
  { file: 'test/integration/lvm/mixed-round.ts' },
  { file: 'test/prove/lvm-thin.ts', only: 'of 3 volumes', proveRounds: 3 },
  { file: 'test/fault/lvm-thin.ts', only: 'killed at round.frozen|killed at snapshot.sealed|with its guard' },
];

const LONG: readonly Part[] = [{ file: 'test/prove/lvm-thin.ts', proveRounds: 50 }, { file: 'test/fault/lvm-thin.ts' }];

const SANITY_MS = 900_000;

/** csi-sanity, and the short parts. */
export async function runLvmTier(signal: AbortSignal): Promise<Tally> {
  if ((await stream(['test/tools/build.sh', 'csi-sanity'], signal)) !== 0) return verdict(false);
  return await inGround(signal, [
    (ground) => runSanityThere(ground, 'mount'),
    (ground) => runSanityThere(ground, 'block'),
    ...SHORT.map((part) => (ground: Ground) => runPart(ground, part)),
  ]);
}

/** For hours. */
export async function runLvmSoakTier(signal: AbortSignal): Promise<Tally> {
  return await inGround(
    signal,
    LONG.map((part) => (ground) => runPart(ground, part)),
  );
}

async function inGround(signal: AbortSignal, parts: readonly ((ground: Ground) => Promise<Tally>)[]): Promise<Tally> {
  if ((await stream(['tools/ensure-packages.sh', '--lvm'], signal)) !== 0) return verdict(false);
  const tallies: Tally[] = [];
  await using ground = await openGround();
  for (const part of parts) if (!signal.aborted) tallies.push(await part(ground));
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
