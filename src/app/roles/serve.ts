/** `cofferdam serve`: all CSI services on one socket, with the agent in the process. */
import { once } from 'node:events';
import { realpath } from 'node:fs/promises';
import { SingleNodeDirectory } from '../../agent/local-agent.ts';
import { BACKENDS } from '../../backends/registry.ts';
import { invalidArgument } from '../../core/errors.ts';
import { armFailpoints } from '../../core/failpoint.ts';
import type { Logger, Metrics } from '../../core/observe.ts';
import type { CsiOptions } from '../../csi/options.ts';
import { SECRET_FIELDS } from '../../csi/redaction.ts';
import { csiInterceptors, csiServices, startingServices } from '../../csi/services.ts';
import { RoundCoordinator } from '../../fence/coordinator.ts';
import { requireRoot, requireTools } from '../../host/privileges.ts';
import { NodeService } from '../../mounts/node-service.ts';
import { createLogger } from '../../obs/logger.ts';
import { type Address, parseAddress } from '../../rpc/address.ts';
import { serve } from '../../rpc/server.ts';
import { GroupService } from '../../volumes/group-service.ts';
import { SnapshotService } from '../../volumes/snapshot-service.ts';
import { VolumeService } from '../../volumes/volume-service.ts';
import type { Role } from '../cli.ts';
import { type NodeStorage, openStorage, STORAGE_OPTIONS } from '../driver.ts';
import type { OptionValues } from '../options.ts';
import { observeRounds } from '../round-observer.ts';
import { sweepAbandonedRuns } from '../temporary-driver.ts';
import { VERSION } from '../version.ts';

/** Calls under way may end by themselves for so long when the driver stops. */
const DRAIN_MS = 10_000;

const SERVE_OPTIONS = [
  'endpoint',
  ...STORAGE_OPTIONS,
  'health',
  'snapshotTopology',
  'metricsAddress',
  'logLevel',
  'untilStdinCloses',
  'failpoints',
] as const;

type ServeOptions = OptionValues<(typeof SERVE_OPTIONS)[number]>;

export const role: Role<(typeof SERVE_OPTIONS)[number]> = {
  description: 'Serves the CSI Identity, Controller, GroupController and Node services for the volumes of this node.',
  options: SERVE_OPTIONS,
  run: async (options, signal) => {
    requireRoot();
    const { tools } = BACKENDS[options.backend];
    await requireTools(['mkfs.ext4', 'mkfs.xfs', 'resize2fs', 'xfs_growfs', 'blkid', 'mount', ...tools]);
    if (options.failpoints !== undefined) armFailpoints(options.failpoints);
    using logger = createLogger({ level: options.logLevel, secretFields: SECRET_FIELDS });
    await using _driver = await startDriver(options, logger);
    await stopped(signal, options.untilStdinCloses);
    logger.info({}, 'stopping');
    return 0;
  },
};

/**
 * The socket comes first: opening a pool may take long (a journal to replay, a sweep), and meanwhile whoever watches over
 * the driver can see that it lives.
 */
async function startDriver(options: ServeOptions, logger: Logger): Promise<AsyncDisposable> {
  await using resources = new AsyncDisposableStack();
  let storage: NodeStorage | undefined;
  // Closed after the socket, whose calls work on it.
  resources.defer(async () => await storage?.[Symbol.asyncDispose]());
  const ready = () => storage !== undefined;
  const { metrics, expose } = await measure(options.metricsAddress);
  const about = { ...options, node: options.nodeName, version: VERSION, ready };
  const server = resources.use(
    await serve({
      address: socketOf(options.endpoint),
      services: startingServices(about),
      interceptors: csiInterceptors({ logger, metrics }),
      drainMs: DRAIN_MS,
    }),
  );
  const refresh = async () => {
    if (storage) metrics.pool(await storage.backend.capacity(new AbortController().signal));
  };
  if (expose) resources.use(await expose(ready, refresh));

  await sweepAbandonedRuns(logger);
  storage = await openStorage(options, logger, metrics);
  const dataDir = await realpath(options.dataDir);
  const interceptors = csiInterceptors({ logger, metrics, nodeLocks: storage.locks });
  server.replace(servicesOf({ ...options, dataDir }, about, storage, logger, metrics), interceptors);
  logger.info(
    { version: VERSION, node: options.nodeName, dataDir: options.dataDir, address: server.address },
    'serving',
  );
  return resources.move();
}

function servicesOf(
  options: ServeOptions,
  about: CsiOptions,
  { backend, agent }: NodeStorage,
  logger: Logger,
  metrics: Metrics,
) {
  const directory = new SingleNodeDirectory(agent);
  const coordinator = new RoundCoordinator(directory, options.leaseMs, observeRounds(logger, metrics));
  return csiServices({
    volumes: new VolumeService(directory),
    snapshots: new SnapshotService(directory, coordinator),
    groups: new GroupService(directory, coordinator),
    node: new NodeService({ backend, dataDir: options.dataDir }),
    options: about,
  });
}

interface Measuring {
  readonly metrics: Metrics;
  readonly expose?: (ready: () => boolean, refresh: () => Promise<void>) => Promise<AsyncDisposable>;
}

/** Prometheus metrics where somebody can read them; else nothing is counted, and their library is not even loaded. */
async function measure(address: string | undefined): Promise<Measuring> {
  if (address === undefined) {
    const ignore = () => undefined;
    return {
      metrics: { rpc: ignore, agentCall: ignore, round: ignore, leaseLost: ignore, frozenNow: ignore, pool: ignore },
    };
  }
  const [{ PrometheusMetrics }, { serveMetrics }] = await Promise.all([
    import('../../obs/metrics.ts'),
    import('../../obs/metrics-server.ts'),
  ]);
  const metrics = new PrometheusMetrics();
  return { metrics, expose: (ready, refresh) => serveMetrics({ address, metrics, ready, refresh }) };
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

/** Whoever reaches the endpoint mounts as root: it is a socket that only root can open, never a port. */
function socketOf(endpoint: string): Address {
  const address = parseAddress('--endpoint', endpoint);
  if (address.kind === 'unix') return address;
  throw invalidArgument('--endpoint', `${JSON.stringify(endpoint)} must be a unix socket, unix:///path`);
}
