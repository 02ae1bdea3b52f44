/** Entry point of a guard that is a child. Terminal signals go to the whole group: it outlives them on purpose. */
import { Guard, serveGuard } from './guard.ts';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const [folder = '.'] = process.argv.slice(2);
await serveGuard(process.stdin, process.stdout, new Guard(folder));
// Threads of the pool may still be returning from the kernel; nothing is left to do in this process.
process.exitCode = 0;
