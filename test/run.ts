/**
 * `npm test`: runs every tier, also after one has failed, and ends with one line for all of them:
 * `N passed, N failed, N skipped`. `npm test -- unit sanity` runs some, `npm run test:soak` those that take long.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Traces } from './support/leftovers.ts';
import { addUp, countLine, type Row, type Tally, table, verdict } from './support/tally.ts';
import { type TestRun, TIERS, type Tier } from './support/tiers.ts';

/** @returns undefined when a name is not a tier's */
function choose(names: readonly string[], soak: boolean): readonly Tier[] | undefined {
  if (names.some((name) => TIERS.every((tier) => tier.name !== name))) return undefined;
  return names.length === 0
    ? TIERS.filter((tier) => Boolean(tier.soak) === soak)
    : TIERS.filter(({ name }) => names.includes(name));
}

/** Never throws, and never counts nothing: a tier that breaks or runs no test has failed. */
async function runTier(tier: Tier, run: TestRun): Promise<Tally> {
  if (tier.needsRoot && process.getuid?.() !== 0) {
    console.error(`${tier.name}: needs root (loop devices, mounts, freezing); run as root: sudo npm test`);
    return verdict(false);
  }
  try {
    const tally = await tier.run(run);
    if (tally.passed + tally.failed > 0) return tally;
    console.error(`${tier.name}: no test ran`);
    return addUp([tally, verdict(false)]);
  } catch (error) {
    console.error(`${tier.name}:`, error);
    return verdict(false);
  }
}

async function timed(name: string, action: () => Promise<Tally>): Promise<Row> {
  const start = performance.now();
  const tally = await action();
  return { name, tally, seconds: (performance.now() - start) / 1000 };
}

async function nothingLeftBehind(traces: Traces): Promise<Tally> {
  const lines = await traces.find();
  traces.clean();
  for (const line of lines) console.error(`left behind: ${line}`);
  return verdict(lines.length === 0);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { soak: { type: 'boolean' } }, allowPositionals: true });
  const tiers = choose(positionals, values.soak ?? false);
  if (!tiers) {
    console.error(`usage: npm test -- [--soak | tier...]; tiers: ${TIERS.map(({ name }) => name).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const stop = new AbortController();
  // Not once: npm passes on what the terminal sent to both already.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const reports = mkdtempSync(path.join(tmpdir(), 'cofferdam-reports-'));
  // Everything that is started has it as TMPDIR, so what is left behind can be told from what belongs to others.
  const scratch = mkdtempSync(path.join(tmpdir(), 'cofferdam-'));
  const traces = new Traces(scratch);
  process.env.TMPDIR = scratch;
  // npm, tsc and jest would keep one there.
  process.env.NODE_DISABLE_COMPILE_CACHE = '1';
  const rows: Row[] = [];
  for (const tier of tiers) {
    if (stop.signal.aborted) break;
    console.log(`\n━━ ${tier.name}`);
    rows.push(await timed(tier.name, () => runTier(tier, { reports, signal: stop.signal })));
  }
  rows.push(await timed('nothing left behind', () => nothingLeftBehind(traces)));
  rmSync(reports, { recursive: true, force: true });
  const sum = addUp(rows.map(({ tally }) => tally));
  console.log(`\n${table(rows)}\n\n${countLine(sum)}`);
  process.exitCode = stop.signal.aborted ? 130 : Number(sum.failed > 0);
}

await main();
