import type { NodeName } from '../core/ids.ts';

export interface CsiOptions {
  readonly node: NodeName;
  /** The driver's own version. */
  readonly version: string;
  /** Offers the health RPCs, alpha and new in CSI 1.13. Tools made for CSI 1.12 stop at capabilities they don't know. */
  readonly health: boolean;
  /** Offers the topology of snapshots, alpha and new in CSI 1.13. */
  readonly snapshotTopology: boolean;
  /** As many volumes as the scheduler may put on this node; it decides by itself when absent. */
  readonly maxVolumesPerNode?: bigint;
  /** False while the driver starts. */
  readonly ready: () => boolean;
}
