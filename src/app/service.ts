/** What the roles that serve have in common: a process with one CSI socket, which runs until it is told to stop. */
import { once } from 'node:events';
import { armFailpoints } from '../core/failpoint.ts';
import type { KeyedLocks } from '../core/locks.ts';
import type { Logger, Metrics } from '../core/observe.ts';
import { SECRET_FIELDS } from '../csi/redaction.ts';
import { type CsiParts, csiInterceptors, csiServices, startingServices } from '../csi/services.ts';
import { createLogger } from '../obs/logger.ts';
import { serve } from '../rpc/server.ts';
import { measure } from './measuring.ts';
import type { OptionValues } from './options.ts';
import { makeRunFolder } from './run-folder.ts';
import { VERSION } from './version.ts';

/**
 * Threads for clones and file operations, of which Node.js has four: one long clone must not hold up the others. Here,
 * since it counts only until the first of these threads is used.
 */
process.env.UV_THREADPOOL_SIZE ??= '64';

/** Calls under way may end by themselves for so long when a server stops. */
export const DRAIN_MS = 10_000;

/**
 * A process that was told to stop has gone by then, milliseconds; the kubelet kills at 30 s, unless told. A call that
 * hangs, in a disk that does not answer, is left to the kernel: the lock of the data folder goes with the last thread.
 */
const STOP_LIMIT_MS = 25_000;

export const SERVICE_OPTIONS = [
  'endpoint',
  'health',
  'snapshotTopology',
  'metricsAddress',
  'logLevel',
  'untilStdinCloses',
  'failpoints',
] as const;

export type ServiceOptions = OptionValues<(typeof SERVICE_OPTIONS)[number]>;

/** What a role is made of. */
export interface Service {
  readonly parts: CsiParts;
  /** The node's, when there is one. */
  readonly nodeLocks?: KeyedLocks;
  /** Brings metrics up to date that are looked up and not counted. */
  readonly refresh?: () => Promise<void>;
  /** For the line that says that it serves. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface Surroundings {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** What the service is made of is put here, and is disposed of after the socket is closed: calls work on it. */
  readonly resources: AsyncDisposableStack;
  /** The process is to stop: a start need not go on. */
  readonly signal: AbortSignal;
}

export interface ServicePlan {
  readonly parts: readonly (keyof CsiParts)[];
  /** Makes them. May take long: a pool may have a journal to replay. */
  readonly compose: (surroundings: Surroundings) => Promise<Service>;
}

/**
 * The socket comes first, so that whoever watches over the process can see that it lives while its parts are made.
 * @returns the exit code of the process
 */
export async function runService(
  options: ServiceOptions,
  { parts, compose }: ServicePlan,
  signal: AbortSignal,
): Promise<number> {
  if (options.failpoints !== undefined) armFailpoints(options.failpoints);
  const logger = createLogger({ level: options.logLevel, secretFields: SECRET_FIELDS });
  using limit = new StopLimit(logger, signal);
  const { metrics, expose } = await measure(options.metricsAddress);
  await using resources = new AsyncDisposableStack();
  let service: Service | undefined;
  const ready = () => service !== undefined;
  const about = { ...options, version: VERSION, ready };
  await makeRunFolder(options.endpoint);
  await using server = await serve({
    address: { kind: 'unix', path: options.endpoint },
    services: startingServices(parts, about),
    interceptors: csiInterceptors({ logger, metrics }),
    drainMs: DRAIN_MS,
  });
  await using _exposed = await expose?.(ready, async () => await service?.refresh?.());

  service = await compose({ logger, metrics, resources, signal });
  const { nodeLocks, facts } = service;
  const interceptors = csiInterceptors({ logger, metrics, ...(nodeLocks && { nodeLocks }) });
  server.replace(csiServices(service.parts, about), interceptors);
  logger.info({ version: VERSION, ...facts, address: server.address }, 'serving');
  await stopped(signal, options.untilStdinCloses);
  limit.start();
  logger.info({}, 'stopping');
  return 0;
}

/** From the signal on, or its `start`, the process has so long to end in good order; then it ends. */
class StopLimit implements Disposable {
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger, signal: AbortSignal) {
    this.#logger = logger;
    this.#signal = signal;
    if (signal.aborted) this.start();
    signal.addEventListener('abort', this.start, { once: true });
  }

  readonly start = () => {
    this.#timer ??= setTimeout(() => this.#end(), STOP_LIMIT_MS);
  };

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.start);
    clearTimeout(this.#timer);
  }

  #end(): void {
    this.#logger.error({}, `did not stop within ${STOP_LIMIT_MS / 1000} s: ends in the middle of what hangs`);
    // The line is written meanwhile; to wait for that could be to wait for the same disk.
    setTimeout(() => process.exit(1), 100);
  }
}

async function stopped(signal: AbortSignal, untilStdinCloses: boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (untilStdinCloses) {
    process.stdin.resume();
    void once(process.stdin, 'close').then(() => resolve());
  }
  await promise;
  if (untilStdinCloses) process.stdin.destroy();
}
