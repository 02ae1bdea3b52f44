/** The loop backend: image files on a reflink filesystem, attached as loop devices. */
import { mkdir } from 'node:fs/promises';
import { MiB, TiB } from '../../core/bytes.ts';
import type { CapacityPolicy } from '../../core/capacity.ts';
import type { Clock } from '../../core/clock.ts';
import { hasCode } from '../../core/errors.ts';
import type { NodeName } from '../../core/ids.ts';
import type { Logger } from '../../core/observe.ts';
import { syncFilesystem } from '../../host/durable-file.ts';
import { findLoops } from '../../host/loop.ts';
import { allocatedBytes } from '../../host/sparse-file.ts';
import { PoolBackend } from '../pool-backend.ts';
import { assertPoolOf } from '../pool-index.ts';
import type { PoolParts } from '../pool-parts.ts';
import { measureCapacity, type PoolPlace } from './capacity.ts';
import { Cuts } from './cuts.ts';
import { BUFFERED, Devices } from './devices.ts';
import { examine } from './examine.ts';
import { Layout } from './layout.ts';
import { closePool, leavePool, openPool, type PoolOptions } from './pool.ts';
import { Store } from './store.ts';
import { sweep } from './sweep.ts';
import { Trash } from './trash.ts';
import { Volumes } from './volumes.ts';

export interface LoopBackendOptions extends PoolOptions, CapacityPolicy {
  readonly node: NodeName;
}

const LIMITS = { sizeGranularity: MiB, minVolumeBytes: 16n * MiB, maxVolumeBytes: 1024n * TiB } as const;

interface LoopParts extends PoolParts {
  readonly index: Store;
  readonly devices: Devices;
}

export class LoopBackend extends PoolBackend {
  readonly name = 'loop';
  readonly copiesStopped = true;
  readonly blanksAreZeros = true;
  readonly #place: PoolPlace;
  readonly #loop: LoopParts;
  readonly #trash: Trash;

  private constructor(place: PoolPlace, parts: LoopParts, trash: Trash) {
    super(parts, LIMITS);
    this.#place = place;
    this.#loop = parts;
    this.#trash = trash;
  }

  /**
   * Makes or mounts the pool, sweeps it, and reads its metadata. The caller holds the lock of the data folder: one
   * process owns a pool.
   * @throws DriverError data-loss when a committed record can't be read
   */
  static async open(options: LoopBackendOptions, clock: Clock, log: Logger): Promise<LoopBackend> {
    await using opened = new AsyncDisposableStack();
    const place = opened.adopt(await openPool(options), leavePool);
    const [device] = place.file === undefined ? [] : await findLoops(place.file);
    if (device && !device.directIo) log.warn({ pool: place.file, device: device.path }, BUFFERED);
    const layout = new Layout(place.folder);
    for (const folder of [layout.volumes, layout.cuts, layout.trash]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    const trash = new Trash(layout.trash, log);
    opened.defer(() => trash.emptied());
    const index = loadIndex(layout, opened);
    assertPoolOf(options.node, index);
    for (const undecided of await sweep({ layout, index, node: options.node, trash, log })) index.putSealed(undecided);
    // What a dead process had renamed or unlinked and not yet synced counts as done from here on: so it must be on disk.
    await syncFilesystem(layout.pool);
    const devices = new Devices(layout, log);
    const parts: LoopParts = {
      index,
      devices,
      volumes: new Volumes(layout, index, devices, trash, clock),
      cuts: new Cuts(layout, index, trash, clock, options.node),
      measure: (promisedBytes) => measureCapacity(place, options, promisedBytes),
      examine: (volumes) => examine(place, layout, devices, volumes),
      heldBytes: (id) => allocatedBytes(layout.volumeImage(id)),
    };
    opened.move();
    return new LoopBackend(place, parts, trash);
  }

  /** Leaves nothing mounted or attached when no volume is in use; else leaves the pool as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trash.emptied();
    if (!(await this.#inUse())) await closePool(this.#place);
  }

  async #inUse(): Promise<boolean> {
    const { index, devices } = this.#loop;
    return await devices.anyAttached([...index.volumes.values()].map(({ id }) => id));
  }
}

/** What is damaged is named, and is to be mended where it is: so the pool stays mounted. */
function loadIndex(layout: Layout, opened: AsyncDisposableStack): Store {
  try {
    return Store.load(layout);
  } catch (error) {
    if (hasCode(error, 'data-loss')) opened.move();
    throw error;
  }
}
