/**
 * `npm run bench`: measures and prints tables. `npm run bench -- fence rpc` runs some parts; `--json` is for programs;
 * `--hostpath FILE` names the driver to compare with. Figures are ratios within one run: machines differ.
 */
import { mkdir } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { requireRoot } from '../src/host/privileges.ts';
import { cluster } from './cluster.ts';
import { fence } from './fence.ts';
import { io } from './io.ts';
import { rpc } from './rpc.ts';
import { scale } from './scale.ts';
import { size } from './size.ts';
import type { BenchOptions, Part, Section } from './support/part.ts';
import { renderSection } from './support/render.ts';
import { openScratch } from './support/scratch.ts';

const PARTS: readonly Part[] = [fence, cluster, size, rpc, scale, io];

const USAGE = `npm run bench -- [part...] [options]

${PARTS.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}`).join('\n')}

  --json                 one JSON object instead of tables
  --repetitions <count>  how often each thing is measured (default: each part's own)
  --snapshots <count>    existing snapshots in the large case of rpc (default: 10000)
  --hostpath <file>      csi-driver-host-path to compare with (env: COFFERDAM_BENCH_HOSTPATH)
`;

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      repetitions: { type: 'string' },
      snapshots: { type: 'string', default: '10000' },
      hostpath: { type: 'string' },
    },
  });
  const unknown = positionals.filter((name) => PARTS.every((part) => part.name !== name));
  if (unknown.length > 0) throw new Error(`no part is called ${unknown.join(', ')}\n\n${USAGE}`);
  const hostpath = values.hostpath ?? process.env.COFFERDAM_BENCH_HOSTPATH;
  const options: BenchOptions = {
    snapshots: wholeNumber('snapshots', values.snapshots),
    ...(hostpath && { hostpath: path.resolve(hostpath) }),
    ...(values.repetitions !== undefined && { repetitions: wholeNumber('repetitions', values.repetitions) }),
  };
  const parts = positionals.length === 0 ? PARTS : PARTS.filter(({ name }) => positionals.includes(name));
  return { ...values, parts, options };
}

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`--${name}: ${JSON.stringify(text)} is not a count`);
  return Number(text);
}

function machine() {
  return { processors: cpus().length, memoryBytes: totalmem(), kernel: release(), node: process.version };
}

async function main(): Promise<void> {
  const { parts, options, json, help } = readArguments();
  if (help) {
    console.log(USAGE);
    return;
  }
  requireRoot();
  const stop = new AbortController();
  // Not once: a ^C reaches npm too, which passes it on, and the second must not end the clean-up.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  try {
    await measure(parts, options, json, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    console.error('interrupted; everything is cleaned up');
    process.exitCode = 130;
  }
}

async function measure(
  parts: readonly Part[],
  options: BenchOptions,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  await using scratch = await openScratch();
  const all: Record<string, readonly Section[]> = {};
  for (const part of parts) {
    const folder = path.join(scratch.folder, part.name);
    await mkdir(folder);
    const progress = (text: string) => process.stderr.write(`${part.name}: ${text}\n`);
    const sections = await part.run({ options, folder, signal, progress });
    all[part.name] = sections;
    if (!json) for (const section of sections) console.log(renderSection(section));
  }
  if (json) console.log(JSON.stringify({ machine: machine(), parts: all }, null, 2));
}

await main();
