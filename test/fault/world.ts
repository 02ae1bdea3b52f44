/** A driver with mounted volumes that are written to all the time: what the faults of this tier happen to. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type Capability, type Csi, type FsName, mountCapability } from '../support/csi.ts';
import { type Footprint, footprint, kubeletOf, settled } from '../support/footprint.ts';
import { Scratch, thawIfFrozen } from '../support/scratch.ts';
import { processesOf, Serve, type ServeOptions } from '../support/serve.ts';
import { Writers } from '../support/stalls.ts';

export const MiB = 1024 ** 2;

/** Small and large enough for the filesystem. */
export const SIZES: Readonly<Record<FsName, number>> = { ext4: 32 * MiB, xfs: 304 * MiB, btrfs: 128 * MiB };

/** Names and filesystems of the volumes that are mounted and written to. */
const MOUNTED: readonly (readonly [string, FsName])[] = [
  ['one', 'ext4'],
  ['two', 'xfs'],
  ['three', 'ext4'],
];

export interface WorldOptions extends ServeOptions {
  /** Nobody writes, and nothing is mounted. */
  readonly quiet?: boolean;
}

export class World implements AsyncDisposable {
  readonly scratch: Scratch;
  serve: Serve;
  /** Of the volumes that are mounted. */
  volumeIds: readonly string[] = [];
  writers: Writers | undefined;
  readonly #options: ServeOptions;
  #owned: Scratch | undefined;
  #client: Csi | undefined;

  private constructor(scratch: Scratch, serve: Serve, options: ServeOptions) {
    this.scratch = scratch;
    this.serve = serve;
    this.#options = options;
  }

  static async open({ quiet = false, ...options }: WorldOptions = {}): Promise<World> {
    await using undo = new AsyncDisposableStack();
    const scratch = undo.use(await Scratch.open());
    const world = await World.enter(scratch, options);
    undo.move();
    world.#owned = scratch;
    if (!quiet) await world.#populate();
    return world;
  }

  /** In a folder that is the caller's, with whatever is there already. */
  static async enter(scratch: Scratch, options: ServeOptions = {}): Promise<World> {
    return new World(scratch, await Serve.start(scratch, options), options);
  }

  get csi(): Csi {
    return this.#client ?? this.serve.csi;
  }

  /** Whatever is called during the work is called by this client. */
  async through<T>(client: Csi, work: () => Promise<T>): Promise<T> {
    this.#client = client;
    try {
      return await work();
    } finally {
      this.#client = undefined;
    }
  }

  /** The folder that kubelet would mount to, made when missing; below it nothing is. */
  async place(name: string): Promise<string> {
    await mkdir(kubeletOf(this.scratch), { recursive: true });
    return path.join(kubeletOf(this.scratch), name);
  }

  async create(name: string, bytes: number, capability: Capability = mountCapability()): Promise<string> {
    const { volume } = await this.csi.controller.CreateVolume({
      name,
      capacityRange: { requiredBytes: String(bytes) },
      volumeCapabilities: [capability],
    });
    return volume?.volumeId ?? '';
  }

  async stage(volumeId: string, name: string, capability: Capability): Promise<void> {
    const stagingTargetPath = await this.place(`${name}-staged`);
    await mkdir(stagingTargetPath, { recursive: true });
    await this.csi.node.NodeStageVolume({ volumeId, stagingTargetPath, volumeCapability: capability });
  }

  async publish(volumeId: string, name: string, volumeCapability: Capability): Promise<string> {
    const stagingTargetPath = await this.place(`${name}-staged`);
    const targetPath = await this.place(name);
    await this.csi.node.NodePublishVolume({ volumeId, stagingTargetPath, targetPath, volumeCapability });
    return targetPath;
  }

  async unpublish(volumeId: string, name: string): Promise<void> {
    await this.csi.node.NodeUnpublishVolume({ volumeId, targetPath: await this.place(name) });
  }

  async unstage(volumeId: string, name: string): Promise<void> {
    await this.csi.node.NodeUnstageVolume({ volumeId, stagingTargetPath: await this.place(`${name}-staged`) });
  }

  async deleteVolume(volumeId: string): Promise<void> {
    await this.csi.controller.DeleteVolume({ volumeId });
  }

  /** A new process, after the old one died; nothing is armed in it. */
  async restart(options: Partial<ServeOptions> = {}): Promise<void> {
    this.serve = await Serve.start(this.scratch, { ...this.#options, ...options });
  }

  async footprint(): Promise<Footprint> {
    return await footprint(this.scratch, this.serve.pid);
  }

  async settled(expected: Footprint, ...others: readonly Footprint[]): Promise<void> {
    await settled(this.scratch, this.serve.pid, expected, others);
  }

  /** Takes everything away as the CO would, and ends. @throws Error when anything is left */
  async close(): Promise<void> {
    await this.writers?.[Symbol.asyncDispose]();
    this.writers = undefined;
    for (const [i, [name]] of MOUNTED.entries()) {
      const volumeId = this.volumeIds[i];
      if (volumeId === undefined) break;
      await this.unpublish(volumeId, name);
      await this.unstage(volumeId, name);
      await this.deleteVolume(volumeId);
    }
    await this.expectNothing();
    await this.serve.stop();
    // The pool went with the process: nothing is in use.
    const nothing = { loops: [], mounts: [], volumes: [], cuts: [], trash: 0, journal: 0, orphans: [] };
    await settled(this.scratch, undefined, { ...nothing, targets: await this.#stagingFolders() });
  }

  /** @throws Error when the driver still has anything */
  async expectNothing(): Promise<void> {
    const { entries: volumes } = await this.csi.controller.ListVolumes({});
    const { entries: snapshots } = await this.csi.controller.ListSnapshots({});
    if (volumes.length + snapshots.length > 0) {
      throw new Error(`left: ${volumes.length} volumes, ${snapshots.length} snapshots`);
    }
    const pool = { loops: ['data/pool.xfs'], mounts: ['data/pool: xfs rw'] };
    const empty = { volumes: [], cuts: [], trash: 0, journal: 0, orphans: [] };
    await this.settled({ ...pool, ...empty, targets: await this.#stagingFolders() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using cleaning = new AsyncDisposableStack();
    if (this.#owned) cleaning.use(this.#owned);
    if (this.writers) cleaning.use(this.writers);
    cleaning.use(this.serve);
    for (const { pid } of await processesOf(this.scratch)) this.scratch.owns(pid);
    for (const { pid } of await processesOf(this.scratch)) signal(pid, 'SIGKILL');
    // A writer that is blocked ends only when it is thawed, and nobody else is left to do that.
    for (const { mountPoint } of await this.scratch.mounts()) await thawIfFrozen(mountPoint).catch(() => false);
  }

  async #populate(): Promise<void> {
    try {
      const folders: string[] = [];
      const ids: string[] = [];
      for (const [name, fsType] of MOUNTED) {
        const capability = mountCapability(fsType);
        const volumeId = await this.create(name, SIZES[fsType], capability);
        ids.push(volumeId);
        await this.stage(volumeId, name, capability);
        folders.push(await this.publish(volumeId, name, capability));
      }
      this.volumeIds = ids;
      this.writers = await Writers.start(folders, this.scratch.folder);
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The CO makes them, so the CO removes them. */
  async #stagingFolders(): Promise<readonly string[]> {
    return (await this.footprint()).targets.filter((name) => name.endsWith('-staged'));
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
