/** What the roles that serve have in common: a process with one CSI socket, which runs until it is told to stop. */
import { once } from 'node:events';
import { invalidArgument } from '../core/errors.ts';
import { armFailpoints } from '../core/failpoint.ts';
import type { KeyedLocks } from '../core/locks.ts';
import type { Logger, Metrics } from '../core/observe.ts';
import { SECRET_FIELDS } from '../csi/redaction.ts';
import { type CsiParts, csiInterceptors, csiServices } from '../csi/services.ts';
import { createLogger } from '../obs/logger.ts';
import { type Address, parseAddress } from '../rpc/address.ts';
import { serve } from '../rpc/server.ts';
import { measure } from './measuring.ts';
import type { OptionValues } from './options.ts';
import { VERSION } from './version.ts';

/** Calls under way may end by themselves for so long when a server stops. */
export const DRAIN_MS = 10_000;

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
  /** What the service is made of is put here, and is disposed of after the socket is closed. */
  readonly resources: AsyncDisposableStack;
}

/** @returns the exit code of the process */
export async function runService(
  options: ServiceOptions,
  compose: (surroundings: Surroundings) => Promise<Service>,
  signal: AbortSignal,
): Promise<number> {
  if (options.failpoints !== undefined) armFailpoints(options.failpoints);
  using logger = createLogger({ level: options.logLevel, secretFields: SECRET_FIELDS });
  await using resources = new AsyncDisposableStack();
  const { metrics, expose } = await measure(options.metricsAddress);
  const { parts, nodeLocks, refresh, facts } = await compose({ logger, metrics, resources });
  const ready = () => true;
  const server = resources.use(
    await serve({
      address: socketOf(options.endpoint),
      services: csiServices(parts, { ...options, version: VERSION, ready }),
      interceptors: csiInterceptors({ logger, metrics, ready, ...(nodeLocks && { nodeLocks }) }),
      drainMs: DRAIN_MS,
    }),
  );
  if (expose) resources.use(await expose(refresh));
  logger.info({ version: VERSION, ...facts, address: server.address }, 'serving');
  await stopped(signal, options.untilStdinCloses);
  logger.info({}, 'stopping');
  return 0;
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

/** Whoever reaches the endpoint can do everything with the volumes: it is a socket that only its owner opens, never a port. */
function socketOf(endpoint: string): Address {
  const address = parseAddress('--endpoint', endpoint);
  if (address.kind === 'unix') return address;
  throw invalidArgument('--endpoint', `${JSON.stringify(endpoint)} must be a unix socket, unix:///path`);
}
