#!/usr/bin/env node
/** Arguments to a role; whatever asks the process to end, to one AbortSignal. */
import { enableCompileCache } from 'node:module';
import path from 'node:path';

// Beside the code itself: whoever may write there may change the code as well, unlike in the default, a shared /tmp.
enableCompileCache(path.join(import.meta.dirname, '../node_modules/.cache/cofferdam'));
// After the cache, so that it has all the rest.
const { runCli } = await import('./app/run-cli.ts');

const stop = new AbortController();
const abort = () => stop.abort();
// SIGHUP: the terminal was closed.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, abort);
// Nobody reads any more what is printed (EPIPE), or there is no terminal any more (EIO).
process.stdout.on('error', abort);

process.exitCode = await runCli(process.argv.slice(2), process.env, stop.signal);
