import type { VolumeId } from './ids.ts';

/** How bad it is, in the words of the CSI (VolumeHealthErrorType). */
export type VolumeStatus = 'degraded' | 'inaccessible' | 'data-loss';

/** All that is looked for, by its reason; docs/health.md says when each is told, and what to do. */
export const CONDITIONS = {
  ImageMissing: 'data-loss',
  ImageTruncated: 'data-loss',
  ImageDeleted: 'data-loss',
  PoolNotMounted: 'inaccessible',
  PoolNotActive: 'inaccessible',
  PoolShutDown: 'inaccessible',
  PoolFailed: 'inaccessible',
  VolumeFailed: 'inaccessible',
  FilesystemShutDown: 'inaccessible',
  PoolReadOnly: 'degraded',
  PoolNeedsCheck: 'degraded',
  PoolFull: 'degraded',
  FilesystemReadOnly: 'degraded',
  FilesystemErrors: 'degraded',
} as const satisfies Record<string, VolumeStatus>;

export interface VolumeCondition {
  readonly status: VolumeStatus;
  /** For programs, in CamelCase: one of `CONDITIONS`, or what an agent of a later release calls it. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

export interface VolumeHealth {
  readonly id: VolumeId;
  /** Each status with a reason once; empty: healthy, as far as can be told. */
  readonly conditions: readonly VolumeCondition[];
}

export interface HealthFilter {
  readonly volumeId?: VolumeId;
}

export function condition(reason: keyof typeof CONDITIONS, message: string): VolumeCondition {
  return { status: CONDITIONS[reason], reason, message };
}
