#!/usr/bin/env node
/** Arguments to a role; SIGTERM and SIGINT to one AbortSignal. */
import { enableCompileCache } from 'node:module';
import path from 'node:path';

// Beside the code itself: whoever may write there may change the code as well, unlike in the default, a shared /tmp.
enableCompileCache(path.join(import.meta.dirname, '../node_modules/.cache/cofferdam'));
// After the cache, so that it has all the rest.
const { runCli } = await import('./app/run-cli.ts');

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());

process.exitCode = await runCli(process.argv.slice(2), process.env, stop.signal);
