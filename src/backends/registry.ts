/** Backends by name. A new one is a folder here and a line in this table. */
import type { Backend } from '../core/backend.ts';
import type { CapacityPolicy } from '../core/capacity.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/observe.ts';
import type { PoolInspection } from '../core/pool-inspection.ts';
import { LoopBackend, type LoopBackendOptions } from './loop/backend.ts';
import { inspectLoopPool } from './loop/inspect.ts';
import { LvmThinBackend, type LvmThinBackendOptions } from './lvm-thin/backend.ts';
import { inspectLvmThinPool } from './lvm-thin/inspect.ts';

/** What there is to tell a backend; each takes what concerns it. */
export type BackendOptions = LoopBackendOptions & LvmThinBackendOptions;

/** Where a pool is. */
export type PoolAddress = Pick<BackendOptions, 'dataDir' | 'volumeGroup' | 'thinPool'>;

export interface BackendEntry {
  readonly open: (options: BackendOptions, clock: Clock, log: Logger) => Promise<Backend & AsyncDisposable>;
  readonly inspect: (address: PoolAddress, policy: CapacityPolicy) => Promise<PoolInspection>;
  /** Commands that it runs beside those that every node needs. */
  readonly tools: readonly string[];
}

export const BACKENDS = {
  loop: {
    open: LoopBackend.open,
    inspect: ({ dataDir }: PoolAddress, policy) => inspectLoopPool(dataDir, policy),
    tools: [],
  },
  'lvm-thin': { open: LvmThinBackend.open, inspect: inspectLvmThinPool, tools: ['lvm', 'thin_check'] },
} as const satisfies Record<string, BackendEntry>;

export type BackendName = keyof typeof BACKENDS;
