/** The tests of the LVM backend, in one ground after the other: contract, csi-sanity, and the promise. */
import path from 'node:path';
import { ROOT, stream } from '../support/command.ts';
import { addUp, type Tally, verdict } from '../support/tally.ts';
import { type Ground, openGround } from './ground.ts';
import { runGuestTests } from './guest-tests.ts';

const FILES = ['test/contract/lvm-thin.ts', 'test/prove/lvm-thin.ts', 'test/fault/lvm-thin.ts'];
const SANITY_MS = 900_000;

export async function runLvmTier(signal: AbortSignal): Promise<Tally> {
  if ((await stream(['tools/ensure-packages.sh', '--lvm'], signal)) !== 0) return verdict(false);
  if ((await stream(['test/tools/build.sh', 'csi-sanity'], signal)) !== 0) return verdict(false);
  const tallies: Tally[] = [];
  await using ground = await openGround();
  for (const accessType of ['mount', 'block'] as const) {
    if (!signal.aborted) tallies.push(await runSanityThere(ground, accessType));
  }
  for (const file of FILES) if (!signal.aborted) tallies.push(await runFile(ground, file));
  return addUp(tallies);
}

async function runFile(ground: Ground, file: string): Promise<Tally> {
  console.log(`\n${file}`);
  const { tests, unhandledErrors } = await runGuestTests(ground, [file]);
  for (const { name, status, errors, ms } of tests) {
    console.log(`  ${status === 'passed' ? '✓' : '✕'} ${name} (${ms} ms)`);
    for (const error of errors) console.error(error);
  }
  for (const error of unhandledErrors) console.error(error);
  const count = (status: string) => tests.filter((test) => test.status === status).length;
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
