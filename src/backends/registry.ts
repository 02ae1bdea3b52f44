/** Backends by name. A new one is a folder here and a line in this table. */
import type { Backend } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/observe.ts';
import type { PoolInspection } from '../core/pool-inspection.ts';
import { LoopBackend, type LoopBackendOptions } from './loop/backend.ts';
import type { CapacityPolicy } from './loop/capacity.ts';
import { inspectLoopPool } from './loop/inspect.ts';

export interface BackendEntry {
  readonly open: (options: LoopBackendOptions, clock: Clock, log: Logger) => Promise<Backend & AsyncDisposable>;
  readonly inspect: (dataDir: string, policy: CapacityPolicy) => Promise<PoolInspection>;
}

export const BACKENDS = {
  loop: { open: LoopBackend.open, inspect: inspectLoopPool },
} as const satisfies Record<string, BackendEntry>;

export type BackendName = keyof typeof BACKENDS;
