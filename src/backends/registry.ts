/** Backends by name. A new one is a folder here and a line in this table. */
import type { Backend } from '../core/backend.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/observe.ts';
import { LoopBackend, type LoopBackendOptions } from './loop/backend.ts';

export type OpenBackend = (
  options: LoopBackendOptions,
  clock: Clock,
  log: Logger,
) => Promise<Backend & AsyncDisposable>;

export const BACKENDS = { loop: LoopBackend.open } as const satisfies Record<string, OpenBackend>;

export type BackendName = keyof typeof BACKENDS;
