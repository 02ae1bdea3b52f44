/**
 * A CSI driver without any guarantee: volumes are folders, publishing is a symbolic link, and a group snapshot copies
 * one volume after the other while they are written to. It notices what it is not asked to clean up.
 */
import { randomUUID } from 'node:crypto';
import { cp, lstat, mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError, isErrno, notFound } from '../../../src/core/errors.ts';
import type { ControllerDefinition } from '../../../src/gen/csi/v1/Controller.ts';
import type { GroupControllerDefinition } from '../../../src/gen/csi/v1/GroupController.ts';
import type { IdentityDefinition } from '../../../src/gen/csi/v1/Identity.ts';
import type { NodeDefinition } from '../../../src/gen/csi/v1/Node.ts';
import { parseAddress } from '../../../src/rpc/address.ts';
import { loadProto } from '../../../src/rpc/proto.ts';
import { bindService, type RpcServer, serve } from '../../../src/rpc/server.ts';
import type { Handlers } from '../../../src/rpc/types.ts';

export interface FolderDriverOptions {
  readonly groups?: boolean;
  readonly stages?: boolean;
  readonly attaches?: boolean;
  /** Between the copies of two members. */
  readonly pauseMs?: number;
  /** Called at the start of every RPC, and at its end with `done`; may throw. */
  readonly fault?: (rpc: string, phase: 'start' | 'done', request: unknown) => void | Promise<void>;
}

interface GroupRecord {
  readonly id: string;
  readonly snapshots: readonly { readonly snapshotId: string; readonly sourceVolumeId: string }[];
}

export class FolderDriver implements AsyncDisposable {
  readonly endpoint: string;
  /** Names and parameters of the groups that were asked for. */
  readonly groupCalls: { readonly volumeIds: readonly string[]; readonly parameters: Record<string, string> }[] = [];
  readonly #folder: string;
  readonly #options: FolderDriverOptions;
  readonly #volumes = new Map<string, string>();
  readonly #groups = new Map<string, GroupRecord>();
  readonly #staged = new Set<string>();
  readonly #published = new Set<string>();
  readonly #attached = new Set<string>();
  #server: RpcServer | undefined;

  private constructor(folder: string, options: FolderDriverOptions) {
    this.#folder = folder;
    this.endpoint = `unix://${join(folder, 'csi.sock')}`;
    this.#options = options;
  }

  static async start(folder: string, options: FolderDriverOptions = {}): Promise<FolderDriver> {
    const driver = new FolderDriver(folder, options);
    await mkdir(join(folder, 'volumes'), { recursive: true });
    await mkdir(join(folder, 'snapshots'), { recursive: true });
    const proto = loadProto('csi-proto/csi.proto');
    const bind = <D>(name: string, handlers: Handlers<D>) => bindService(name, proto.service(name), handlers);
    driver.#server = await serve({
      address: parseAddress('endpoint', driver.endpoint),
      services: [
        bind('csi.v1.Identity', driver.#identity()),
        bind('csi.v1.Controller', driver.#controller()),
        bind('csi.v1.Node', driver.#node()),
        ...((options.groups ?? true) ? [bind('csi.v1.GroupController', driver.#groupController())] : []),
      ],
      interceptors: [
        async ({ method }, request, next) => {
          await options.fault?.(method, 'start', request);
          const reply = await next();
          await options.fault?.(method, 'done', request);
          return reply;
        },
      ],
      drainMs: 1000,
    });
    return driver;
  }

  /** Everything that was made and is still there. */
  async leftovers(): Promise<string[]> {
    return [
      ...(await readdir(join(this.#folder, 'volumes'))).map((name) => `volume ${name}`),
      ...(await readdir(join(this.#folder, 'snapshots'))).map((name) => `snapshot ${name}`),
      ...[...this.#staged].map((key) => `staged ${key}`),
      ...[...this.#published].map((key) => `published ${key}`),
      ...[...this.#attached].map((key) => `attached ${key}`),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
  }

  #identity(): Handlers<IdentityDefinition> {
    const service = (type: 'CONTROLLER_SERVICE' | 'GROUP_CONTROLLER_SERVICE') => ({ service: { type } });
    const groups = (this.#options.groups ?? true) ? [service('GROUP_CONTROLLER_SERVICE')] : [];
    return {
      Probe: async () => ({}),
      GetPluginInfo: async () => ({ name: 'folder.test', vendorVersion: '1.2.3' }),
      GetPluginCapabilities: async () => ({ capabilities: [service('CONTROLLER_SERVICE'), ...groups] }),
    };
  }

  #controller(): Handlers<ControllerDefinition> {
    const rpc = (type: 'CREATE_DELETE_VOLUME' | 'PUBLISH_UNPUBLISH_VOLUME') => ({ rpc: { type } });
    const attach = this.#options.attaches ? [rpc('PUBLISH_UNPUBLISH_VOLUME')] : [];
    return {
      ControllerGetCapabilities: async () => ({ capabilities: [rpc('CREATE_DELETE_VOLUME'), ...attach] }),
      CreateVolume: async ({ name, volumeContentSource, capacityRange }) => {
        const volumeId = this.#volumes.get(name) ?? `v-${randomUUID()}`;
        if (!this.#volumes.has(name)) {
          const snapshotId = volumeContentSource?.snapshot?.snapshotId;
          if (snapshotId === undefined) await mkdir(this.#volume(volumeId));
          else await cp(this.#snapshot(snapshotId), this.#volume(volumeId), { recursive: true });
          this.#volumes.set(name, volumeId);
        }
        const capacityBytes = String(capacityRange?.requiredBytes ?? '0');
        return { volume: { volumeId, capacityBytes, volumeContext: { of: name } } };
      },
      DeleteVolume: async ({ volumeId }) => {
        const inUse = [...this.#staged, ...this.#published, ...this.#attached].some((key) => key.startsWith(volumeId));
        if (inUse) throw new DriverError('failed-precondition', `${volumeId} is in use`);
        await rm(this.#volume(volumeId), { recursive: true, force: true });
        return {};
      },
      ControllerPublishVolume: async ({ volumeId }) => {
        this.#attached.add(volumeId);
        return { publishContext: { attached: 'yes' } };
      },
      ControllerUnpublishVolume: async ({ volumeId }) => {
        this.#attached.delete(volumeId);
        return {};
      },
      CreateSnapshot: async ({ sourceVolumeId, name }) => ({
        snapshot: { snapshotId: await this.#copy(sourceVolumeId, name), sourceVolumeId, readyToUse: true },
      }),
      DeleteSnapshot: async ({ snapshotId }) => {
        await rm(this.#snapshot(snapshotId), { recursive: true, force: true });
        return {};
      },
    };
  }

  #groupController(): Handlers<GroupControllerDefinition> {
    return {
      GroupControllerGetCapabilities: async () => ({
        capabilities: [{ rpc: { type: 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT' } }],
      }),
      CreateVolumeGroupSnapshot: async ({ name, sourceVolumeIds, parameters }) => {
        const known = this.#groups.get(name);
        if (!known) this.groupCalls.push({ volumeIds: sourceVolumeIds, parameters });
        const snapshots = known ? [...known.snapshots] : [];
        for (const sourceVolumeId of known ? [] : sourceVolumeIds) {
          snapshots.push({ snapshotId: await this.#copy(sourceVolumeId, name), sourceVolumeId });
        }
        this.#groups.set(name, { id: `g-${name}`, snapshots });
        const ready = snapshots.map((snapshot) => ({ ...snapshot, readyToUse: true }));
        return { groupSnapshot: { groupSnapshotId: `g-${name}`, snapshots: ready, readyToUse: true } };
      },
      DeleteVolumeGroupSnapshot: async ({ groupSnapshotId }) => {
        const group = [...this.#groups.values()].find(({ id }) => id === groupSnapshotId);
        for (const { snapshotId } of group?.snapshots ?? []) await rm(this.#snapshot(snapshotId), { recursive: true });
        return {};
      },
    };
  }

  #node(): Handlers<NodeDefinition> {
    const stages = this.#options.stages ?? true;
    return {
      NodeGetCapabilities: async () => ({
        capabilities: stages ? [{ rpc: { type: 'STAGE_UNSTAGE_VOLUME' as const } }] : [],
      }),
      NodeGetInfo: async () => ({ nodeId: 'here' }),
      NodeStageVolume: async ({ volumeId, stagingTargetPath }) => {
        await lstat(stagingTargetPath);
        this.#staged.add(volumeId);
        return {};
      },
      NodeUnstageVolume: async ({ volumeId }) => {
        this.#staged.delete(volumeId);
        return {};
      },
      NodePublishVolume: async ({ volumeId, targetPath, publishContext, volumeContext }) => {
        if (stages && !this.#staged.has(volumeId)) throw new DriverError('failed-precondition', 'not staged');
        if (this.#options.attaches && publishContext.attached !== 'yes') throw notFound('node', 'context');
        if (volumeContext.of === undefined) throw notFound('volume', 'context');
        await symlink(this.#volume(volumeId), targetPath);
        this.#published.add(volumeId);
        return {};
      },
      NodeUnpublishVolume: async ({ volumeId, targetPath }) => {
        await rm(targetPath, { force: true });
        this.#published.delete(volumeId);
        return {};
      },
    };
  }

  async #copy(volumeId: string, name: string): Promise<string> {
    const snapshotId = `s-${name}-${volumeId}`;
    try {
      await cp(this.#volume(volumeId), this.#snapshot(snapshotId), { recursive: true });
    } catch (error) {
      if (isErrno(error, 'ENOENT')) throw notFound('volume', volumeId);
      throw error;
    }
    await sleep(this.#options.pauseMs ?? 0);
    return snapshotId;
  }

  #volume(id: string): string {
    return join(this.#folder, 'volumes', id);
  }

  #snapshot(id: string): string {
    return join(this.#folder, 'snapshots', id);
  }
}
