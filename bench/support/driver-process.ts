/** A CSI driver as a process: ours from sources, ours compiled, or another one. */
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from '../../src/host/child.ts';
import { type CsiClient, connectCsi } from '../../src/prove/csi-client.ts';
import { isListening } from '../../test/support/listening.ts';

const START_LIMIT_MS = 60_000;
const POLL_MS = 1;

export interface Launch {
  /** Holds the socket and the log; short: the path of a socket has 107 bytes. */
  readonly folder: string;
  readonly name: string;
  /** The command, given the endpoint. */
  readonly command: (endpoint: string) => readonly string[];
}

export interface Memory {
  /** Resident bytes; of several processes the sum, which counts what they share twice. */
  readonly rss: number;
  /** The same with what they share counted once: what the driver takes on a machine that runs nothing else. */
  readonly alone: number;
}

export interface DriverProcess extends AsyncDisposable {
  readonly endpoint: string;
  readonly client: CsiClient;
  /** Milliseconds from the start of the process to its being ready. */
  readonly startMs: number;
  /** Of the process and of its children, such as the guard. */
  memory(): Promise<Memory>;
}

/** Resolves when Probe says that it is ready. */
export async function launch({ folder, name, command }: Launch): Promise<DriverProcess> {
  const socket = path.join(folder, `${name}.sock`);
  const endpoint = `unix://${socket}`;
  await rm(socket, { force: true });
  const log = openSync(path.join(folder, `${name}.log`), 'a');
  const started = performance.now();
  // When this process dies, however it dies, the driver is told to end.
  const argv = ['setpriv', '--pdeathsig', 'TERM', ...command(endpoint)];
  // Detached: a ^C is for this process, which ends its drivers in its own order.
  const child = await startChild(argv, { stdio: ['ignore', log, log], cwd: folder, detached: true });
  closeSync(log);
  await using resources = new AsyncDisposableStack();
  resources.defer(async () => {
    child.kill('SIGTERM');
    await child.exited;
  });
  const ended = child.exited.then(async ({ code }) => {
    throw new Error(`${name} ended with ${code}:\n${await readFile(path.join(folder, `${name}.log`), 'utf8')}`);
  });
  ended.catch(() => undefined);
  await Promise.race([listening(socket), ended]);
  const client = resources.use(await connectCsi(endpoint));
  const startMs = performance.now() - started;
  const owned = resources.move();
  return {
    endpoint,
    client,
    startMs,
    memory: () => memoryOf(child.pid),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function listening(socket: string): Promise<void> {
  for (const end = performance.now() + START_LIMIT_MS; !(await isListening(socket)); await sleep(POLL_MS)) {
    if (performance.now() > end) throw new Error(`nobody listens at ${socket}`);
  }
}

async function memoryOf(pid: number): Promise<Memory> {
  const sizes = await Promise.all([pid, ...(await childrenOf(pid))].map(residentOf));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    rss: sum(sizes.map(({ rss }) => rss)),
    // The kernel's own measure (Pss) would divide with this process too, which runs the same interpreter.
    alone: sum(sizes.map(({ own }) => own)) + Math.max(...sizes.map(({ rss, own }) => rss - own)),
  };
}

async function childrenOf(parent: number): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  // After the command, which is in parentheses and may hold anything: state, parent.
  return pids.filter((_, i) => Number(stats[i]?.replace(/^.*\) /s, '').split(' ')[1]) === parent);
}

async function residentOf(pid: number): Promise<{ readonly rss: number; readonly own: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
  // What is no file's is shared with nobody; the files are the interpreter's, the same for serve and guard.
  return { rss: bytes('Rss'), own: bytes('Anonymous') };
}
