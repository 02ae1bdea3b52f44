import type { AttachedDevice } from './backend.ts';
import type { PoolCapacity } from './capacity.ts';
import type { CutRecord } from './snapshot.ts';
import type { Volume } from './volume.ts';

export interface InspectedDevice extends AttachedDevice {
  /** False where the kernel keeps a second copy of the data in its cache. Absent: the device has no such choice. */
  readonly directIo?: boolean;
}

/** A pool as it is at this moment, read without touching it: for `status`, also while the driver runs, or doesn't. */
export interface PoolInspection {
  readonly folder: string;
  /** False: its filesystem is not mounted, so nothing below is known. */
  readonly mounted: boolean;
  readonly capacity?: PoolCapacity;
  /** What the pool's own filesystem is on. */
  readonly device?: InspectedDevice;
  readonly volumes: readonly { readonly volume: Volume; readonly devices: readonly InspectedDevice[] }[];
  readonly cuts: readonly CutRecord[];
}
