import type { NodeName } from '../core/ids.ts';

/** The same at every endpoint of a driver. */
export interface CsiOptions {
  /** The driver's own version. */
  readonly version: string;
  /** Offers the health RPCs, alpha and new in CSI 1.13. Tools made for CSI 1.12 stop at capabilities they don't know. */
  readonly health: boolean;
  /** Offers the topology of snapshots, alpha and new in CSI 1.13. */
  readonly snapshotTopology: boolean;
  /** False while the driver starts. */
  readonly ready: () => boolean;
}

/** What an endpoint's node is called. */
export interface NodeInfo {
  readonly node: NodeName;
}
