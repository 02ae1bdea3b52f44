/** A node's storage, composed: pool, fence, rounds and agent; without any network. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { LocalAgent } from '../agent/local-agent.ts';
import { BACKENDS } from '../backends/registry.ts';
import type { Backend } from '../core/backend.ts';
import { systemClock } from '../core/clock.ts';
import { KeyedLocks } from '../core/locks.ts';
import type { NodeAgent } from '../core/node-agent.ts';
import type { Logger, Metrics } from '../core/observe.ts';
import { startGuard } from '../fence/guard/child-link.ts';
import { GuardClient } from '../fence/guard/client.ts';
import { joinGuard } from '../fence/guard/socket-link.ts';
import { FreezeJournal } from '../fence/journal.ts';
import { NodeFence } from '../fence/node-fence.ts';
import { NodeRounds } from '../fence/node-round.ts';
import { QuietCopies } from '../fence/quiet-copy.ts';
import { recoverFrozen } from '../fence/recovery.ts';
import { lockFile } from '../host/file-lock.ts';
import { healthOf } from '../mounts/health.ts';
import { observeFence } from './fence-observer.ts';
import type { OptionValues } from './options.ts';

export const STORAGE_OPTIONS = [
  'dataDir',
  'backend',
  'poolSize',
  'volumeGroup',
  'thinPool',
  'nodeName',
  'leaseMs',
  'fenceBudgetMs',
  'expediteRcu',
  'guardSocket',
  'overcommitRatio',
  'poolReserve',
] as const;

export interface NodeStorage extends AsyncDisposable {
  readonly backend: Backend;
  readonly agent: NodeAgent;
  /** Shared by everything that changes volumes on this node. */
  readonly locks: KeyedLocks;
}

/**
 * What an earlier agent left frozen is thawed before anything else is touched (docs/design.md, invariant 5).
 * @param signal ends a start that waits for a guard of that agent
 */
export async function openStorage(
  options: OptionValues<(typeof STORAGE_OPTIONS)[number]>,
  logger: Logger,
  metrics: Metrics,
  signal: AbortSignal,
): Promise<NodeStorage> {
  await using resources = new AsyncDisposableStack();
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  // Before anything else: a second process must not thaw what the first one holds frozen.
  resources.use(await lockFile(path.join(options.dataDir, 'lock')));
  const journal = new FreezeJournal(path.join(options.dataDir, 'journal'));
  const waits = () =>
    logger.warn({}, 'a guard may still freeze what an earlier process was freezing: waiting for its end');
  const thawed = await recoverFrozen(journal, { signal, waits });
  if (thawed.length > 0) logger.warn({ thawed }, 'thawed what an earlier process had left frozen');

  const backend = resources.use(
    await BACKENDS[options.backend].open(
      {
        dataDir: options.dataDir,
        ...(options.poolSize !== undefined && { poolBytes: options.poolSize }),
        volumeGroup: options.volumeGroup,
        thinPool: options.thinPool,
        node: options.nodeName,
        overcommitRatio: options.overcommitRatio,
        reservePercent: options.poolReserve,
      },
      systemClock,
      logger,
    ),
  );
  const { open, guardLock } = await guardOf(options);
  const guard = resources.use(new GuardClient(open));
  const observer = observeFence(logger, metrics);
  const fence = new NodeFence(guard, journal, systemClock, observer, { expediteRcu: options.expediteRcu, guardLock });
  const locks = new KeyedLocks();
  const node = options.nodeName;
  const budgetMs = options.fenceBudgetMs;
  const rounds = resources.use(new NodeRounds({ backend, fence, clock: systemClock, observer, locks, budgetMs }));
  const agent = new LocalAgent({
    node,
    backend,
    rounds,
    copies: new QuietCopies(backend, fence, options.leaseMs, budgetMs),
    locks,
    healthOf: (ids, signal) => healthOf(backend, ids, signal),
  });
  const owned = resources.move();
  return {
    backend,
    agent,
    locks,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** How it is reached, and its lock. A guard of its own role does not see the data folder, and may have other agents. */
async function guardOf({ dataDir, guardSocket }: OptionValues<'dataDir' | 'guardSocket'>) {
  const folder = path.resolve(dataDir);
  if (guardSocket === undefined) return { open: () => startGuard(folder), guardLock: path.join(folder, 'guard.lock') };
  const { dev, ino } = await stat(folder, { bigint: true });
  const guardLock = path.join(path.dirname(path.resolve(guardSocket)), `agent-${dev}-${ino}.lock`);
  return { open: () => joinGuard(guardSocket), guardLock };
}
