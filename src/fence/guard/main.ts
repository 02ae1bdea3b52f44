/** Entry point of the guard process. Terminal signals go to the whole group: the guard outlives them on purpose. */
import { serveGuard } from './guard.ts';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

await serveGuard(process.stdin, process.stdout);
// Threads of the pool may still be returning from the kernel; nothing is left to do in this process.
process.exitCode = 0;
