#!/usr/bin/env node
/** Arguments to a role; SIGTERM and SIGINT to one AbortSignal. */
import { runCli } from './app/run-cli.ts';

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());

process.exitCode = await runCli(process.argv.slice(2), process.env, stop.signal);
