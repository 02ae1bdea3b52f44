/** The LVM backend: thin logical volumes of one pool in one volume group. */
import { type Bytes, GiB, MiB, maxBytes } from '../../core/bytes.ts';
import type { CapacityPolicy } from '../../core/capacity.ts';
import type { Clock } from '../../core/clock.ts';
import type { NodeName } from '../../core/ids.ts';
import type { Logger } from '../../core/observe.ts';
import { PoolBackend } from '../pool-backend.ts';
import { assertPoolOf } from '../pool-index.ts';
import type { PoolParts } from '../pool-parts.ts';
import { measureCapacity } from './capacity.ts';
import { Cuts } from './cuts.ts';
import { Devices } from './devices.ts';
import { examine } from './examine.ts';
import { openPool, type Pool, type PoolOptions } from './pool.ts';
import { Store } from './store.ts';
import { sweep } from './sweep.ts';
import { Volumes } from './volumes.ts';

export interface LvmThinBackendOptions extends PoolOptions, CapacityPolicy {
  readonly node: NodeName;
}

const MIN_VOLUME_BYTES: Bytes = 16n * MiB;
/** dm-thin addresses the blocks of a device with 32 bits: of 64 KiB, that is 256 TiB; LVM stops below. */
const MAX_VOLUME_BYTES: Bytes = 256n * 1024n * GiB - GiB;

export class LvmThinBackend extends PoolBackend {
  readonly name = 'lvm-thin';
  /** LVM suspends the origin of a copy by itself, and fails on one that is frozen. */
  readonly copiesStopped = false;
  /** Not in a pool that somebody else made without zeroing. */
  readonly blanksAreZeros = false;
  readonly #pool: Pool;

  private constructor(pool: Pool, parts: PoolParts) {
    super(parts, {
      sizeGranularity: pool.extentBytes,
      minVolumeBytes: maxBytes(MIN_VOLUME_BYTES, pool.extentBytes),
      maxVolumeBytes: MAX_VOLUME_BYTES,
    });
    this.#pool = pool;
  }

  /**
   * Makes or activates the pool, sweeps it, and reads its metadata. The caller holds the lock of the data folder: one
   * process owns a pool.
   * @throws DriverError failed-precondition without its volume group; data-loss when a committed record can't be read
   */
  static async open(options: LvmThinBackendOptions, clock: Clock, log: Logger): Promise<LvmThinBackend> {
    await using opened = new AsyncDisposableStack();
    const pool = opened.use(await openPool(options, log));
    await sweep(pool, options.node, log);
    const index = Store.read((await pool.lvm.list()).filter(({ poolName }) => poolName === pool.name));
    assertPoolOf(options.node, index);
    const devices = new Devices(pool);
    const parts: PoolParts = {
      index,
      devices,
      volumes: new Volumes(pool, index, devices, clock, MAX_VOLUME_BYTES),
      cuts: new Cuts(pool, index, devices, clock, options.node),
      measure: (promisedBytes) => measureCapacity(pool, options, promisedBytes),
      examine: (volumes, signal) => examine(pool, devices, volumes, signal),
      heldBytes: async (id) => await devices.mappedBytes(await devices.thinId(id)),
    };
    opened.move();
    return new LvmThinBackend(pool, parts);
  }

  /** The pool stays active, as the machine's other volume groups do. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }
}
