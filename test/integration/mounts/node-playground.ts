import { mkdir } from 'node:fs/promises';
import { LoopBackend, type LoopBackendOptions } from '../../../src/backends/loop/backend.ts';
import { type Bytes, GiB, MiB } from '../../../src/core/bytes.ts';
import type { Access, AccessMode, Capability } from '../../../src/core/capability.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { type VolumeId, volumeId } from '../../../src/core/ids.ts';
import type { ContentSource, FsType, Volume } from '../../../src/core/volume.ts';
import { openForFreeze, thawFilesystem } from '../../../src/host/freeze.ts';
import { detachLoop, listLoops } from '../../../src/host/loop.ts';
import { unmount } from '../../../src/host/mount.ts';
import { readMountTable } from '../../../src/host/mount-table.ts';
import { NodeService } from '../../../src/mounts/node-service.ts';
import type { PublishRequest } from '../../../src/mounts/requests.ts';
import { Playground } from '../host/playground.ts';

const ignore = () => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore };

export const SIZE = 320n * MiB;
export const live = new AbortController().signal;

export function mountAccess(fsType?: FsType, mountFlags: readonly string[] = []): Access {
  return { kind: 'mount', mountFlags, ...(fsType && { fsType }) };
}

export const block: Access = { kind: 'block' };

export function capability(access: Access = mountAccess(), mode: AccessMode = 'SINGLE_NODE_WRITER'): Capability {
  return { access, mode };
}

/** A node with a real pool, and folders as a CO makes them; whatever is left mounted is taken away at the end. */
export class NodePlayground implements AsyncDisposable {
  readonly backend: LoopBackend;
  readonly node: NodeService;
  readonly #play: Playground;

  private constructor(play: Playground, backend: LoopBackend) {
    this.#play = play;
    this.backend = backend;
    this.node = new NodeService({ backend, dataDir: play.path('data') });
  }

  static async open(change: Partial<LoopBackendOptions> = {}): Promise<NodePlayground> {
    const play = await Playground.open();
    for (const name of ['data', 'node', 'node/staging']) await mkdir(play.path(name));
    const policy = { poolBytes: 8n * GiB, overcommitRatio: 10, reservePercent: 1, ...change };
    const options = { dataDir: play.path('data'), node: 'test', ...policy };
    return new NodePlayground(play, await LoopBackend.open(options, systemClock, silent));
  }

  path(...names: string[]): string {
    return this.#play.path('node', ...names);
  }

  get staging(): string {
    return this.path('staging');
  }

  async create(name: string, capacityBytes: Bytes = SIZE, source?: ContentSource): Promise<Volume> {
    const spec = { id: volumeId('test', name), name, capacityBytes, parameters: {}, ...(source && { source }) };
    return this.backend.createVolume(spec, live);
  }

  stage(id: VolumeId, asked: Capability = capability(), stagingPath = this.staging): Promise<void> {
    return this.node.stage({ volumeId: id, stagingPath, capability: asked }, live);
  }

  unstage(id: VolumeId, stagingPath = this.staging): Promise<void> {
    return this.node.unstage({ volumeId: id, stagingPath });
  }

  publish(id: VolumeId, target: string, request: Partial<PublishRequest> = {}): Promise<void> {
    const defaults = { stagingPath: this.staging, capability: capability(), readOnly: false };
    return this.node.publish({ volumeId: id, targetPath: this.path(target), ...defaults, ...request }, live);
  }

  unpublish(id: VolumeId, target: string): Promise<void> {
    return this.node.unpublish({ volumeId: id, targetPath: this.path(target) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const mounted = (await readMountTable()).filter(({ mountPoint }) => mountPoint.startsWith(this.path()));
    for (const { mountPoint } of mounted.toReversed()) {
      const root = await openForFreeze(mountPoint).catch(() => undefined);
      if (root) await thawFilesystem(root.fd).catch(() => undefined);
      await root?.close();
      await unmount(mountPoint);
    }
    const pool = this.#play.path('data', 'pool');
    const loops = (await listLoops()).filter(({ backingPath }) => backingPath.startsWith(`${pool}/`));
    for (const { path } of loops) await detachLoop(path);
    await this.backend[Symbol.asyncDispose]();
    await this.#play[Symbol.asyncDispose]();
  }
}
