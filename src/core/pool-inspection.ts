import type { AttachedDevice } from './backend.ts';
import type { PoolCapacity } from './capacity.ts';
import type { CutRecord } from './snapshot.ts';
import type { Volume } from './volume.ts';

/** A pool as it is at this moment, read without touching it: for `status`, also while the driver runs, or doesn't. */
export interface PoolInspection {
  readonly folder: string;
  /** False: its filesystem is not mounted, so nothing below is known. */
  readonly mounted: boolean;
  readonly capacity?: PoolCapacity;
  readonly volumes: readonly { readonly volume: Volume; readonly devices: readonly AttachedDevice[] }[];
  readonly cuts: readonly CutRecord[];
}
