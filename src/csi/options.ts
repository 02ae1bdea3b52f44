import type { NodeName } from '../core/ids.ts';

export interface CsiOptions {
  readonly node: NodeName;
  /** The driver's own version. */
  readonly version: string;
  /**
   * Offers what is alpha and new in CSI 1.13: the health RPCs, and the topology of snapshots. Tools made for CSI 1.12 stop
   * at capabilities that they don't know.
   */
  readonly health: boolean;
  /** As many volumes as the scheduler may put on this node; it decides by itself when absent. */
  readonly maxVolumesPerNode?: bigint;
  /** False while the driver starts. */
  readonly ready: () => boolean;
}
