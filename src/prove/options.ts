import { type Bytes, formatBytes, MiB } from '../core/bytes.ts';
import { invalidArgument } from '../core/errors.ts';
import { DEFAULT_FS_TYPE, type FsType } from '../core/volume.ts';

export interface NodeEndpoint {
  /** For the report. */
  readonly name: string;
  readonly endpoint: string;
}

export interface ProveOptions {
  /** `unix:///path` of any CSI driver: its controller services. */
  readonly endpoint: string;
  /**
   * Its node services, all reached through mounts of this machine; at `endpoint` unless told. Volumes are spread over
   * them in turn.
   */
  readonly nodes?: readonly NodeEndpoint[];
  readonly volumes: number;
  /** How many group snapshots are taken. */
  readonly rounds: number;
  readonly accessType: 'mount' | 'block';
  /** Asked for in the capability of mounted volumes; ext4 unless told. */
  readonly fsType?: FsType;
  /** Size of each volume; small, but enough for the filesystem, unless told. */
  readonly volumeBytes?: Bytes;
  /** StorageClass parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** VolumeGroupSnapshotClass parameters, or VolumeSnapshotClass ones. */
  readonly snapshotParameters?: Readonly<Record<string, string>>;
  /** Buffered writes to all volumes beside the ordered ones, in bytes per second over all; none unless told. */
  readonly loadBytesPerSecond?: Bytes;
  /** Our own driver's test build only: cut without a fence, so that the check must fail. */
  readonly noFence?: boolean;
  /** The same: every node freezes and cuts by itself, one after the other. */
  readonly noBarrier?: boolean;
  /**
   * Whether disorder among buffered writes is a violation: it is for a driver that freezes filesystems, which writes
   * the page cache out. Unless told: for our own driver, on mounted volumes.
   */
  readonly countBuffered?: boolean;
  /** Seed of all that is random; the same again repeats the orders of a run. Taken from the clock unless told. */
  readonly seed?: number;
  /** An existing folder for target paths; what is made in it is removed. */
  readonly workFolder: string;
  /** Restored volumes that are looked at at once. */
  readonly concurrency?: number;
  /** Where the driver keeps evidence: how long the fence of a group was on each of its nodes, in milliseconds. */
  readonly windowsOf?: (groupId: string) => Promise<ReadonlyMap<string, number>>;
}

/** The options with all defaults filled in. */
export type ProvePlan = Required<Omit<ProveOptions, 'countBuffered' | 'windowsOf'>> &
  Pick<ProveOptions, 'countBuffered' | 'windowsOf'>;

const LEAST_BYTES: Readonly<Record<FsType, Bytes>> = { ext4: 64n * MiB, xfs: 320n * MiB, btrfs: 256n * MiB };
const LEAST_BLOCK_BYTES = 32n * MiB;

/** @throws DriverError invalid-argument */
export function planOf(options: ProveOptions): ProvePlan {
  const fsType = options.fsType ?? DEFAULT_FS_TYPE;
  const least = options.accessType === 'block' ? LEAST_BLOCK_BYTES : LEAST_BYTES[fsType];
  const plan = {
    fsType,
    volumeBytes: LEAST_BYTES[fsType],
    parameters: {},
    snapshotParameters: {},
    loadBytesPerSecond: 0n,
    noFence: false,
    noBarrier: false,
    nodes: [{ name: 'this node', endpoint: options.endpoint }],
    seed: Date.now() % 2 ** 32,
    concurrency: 4,
    ...options,
  };
  // One volume can't be ahead of another.
  requireWhole('volumes', plan.volumes, 2, 1000);
  requireWhole('rounds', plan.rounds, 1, 1_000_000);
  requireWhole('concurrency', plan.concurrency, 1, 64);
  requireWhole('seed', plan.seed, 0, 2 ** 32 - 1);
  if (plan.volumeBytes < least) {
    throw invalidArgument(
      'volume size',
      `${formatBytes(plan.volumeBytes)} is too small; at least ${formatBytes(least)}`,
    );
  }
  return plan;
}

function requireWhole(field: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw invalidArgument(field, `${value} must be a whole number from ${least} to ${most}`);
}
