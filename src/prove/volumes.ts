import { mkdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes } from '../core/bytes.ts';
import { DriverError, isErrno } from '../core/errors.ts';
import type { FsType } from '../core/volume.ts';
import type { Volume__Output } from '../gen/csi/v1/Volume.ts';
import type { CleanupScope } from './cleanup.ts';
import { type CsiClient, persist } from './csi-client.ts';
import type { DriverFacts, NodeFacts } from './driver.ts';

/** How a volume is to be used. */
export type Access = { readonly kind: 'mount'; readonly fsType: FsType } | { readonly kind: 'block' };

export interface VolumeRequest {
  readonly name: string;
  readonly bytes: Bytes;
  readonly access: Access;
  readonly snapshotId?: string;
}

export interface CsiVolume {
  readonly id: string;
  readonly bytes: Bytes;
  readonly context: Readonly<Record<string, string>>;
}

/** The controller's services, and those of one node. */
export type VolumeClient = Pick<CsiClient, 'controller' | 'node'>;

/** Makes volumes and brings them onto a node, through CSI alone; the scope it is given undoes all of it. */
export class VolumeCalls {
  readonly #client: VolumeClient;
  readonly #driver: DriverFacts;
  readonly #node: NodeFacts;
  readonly #parameters: Readonly<Record<string, string>>;
  readonly #folder: string;

  /** @param folder for staging and target paths */
  constructor(
    client: VolumeClient,
    driver: DriverFacts,
    node: NodeFacts,
    parameters: Readonly<Record<string, string>>,
    folder: string,
  ) {
    this.#client = client;
    this.#driver = driver;
    this.#node = node;
    this.#parameters = parameters;
    this.#folder = folder;
  }

  async create({ name, bytes, access, snapshotId }: VolumeRequest, scope: CleanupScope): Promise<CsiVolume> {
    const { topology } = this.#node;
    const request = {
      name,
      capacityRange: { requiredBytes: String(bytes) },
      volumeCapabilities: [capability(access)],
      parameters: this.#parameters,
      ...(snapshotId !== undefined && { volumeContentSource: { snapshot: { snapshotId } } }),
      ...(topology && { accessibilityRequirements: { requisite: [topology], preferred: [topology] } }),
    };
    const volume = await scope.make(
      `volume ${name}`,
      async () => {
        const reply = await persist((options) => this.#client.controller.CreateVolume(request, options));
        return given(reply.volume, 'CreateVolume');
      },
      async ({ volumeId }) => {
        await persist((options) => this.#client.controller.DeleteVolume({ volumeId }, options));
      },
    );
    return describe(volume, bytes);
  }

  /** @returns the target path: a folder with the filesystem, or a file that is the block device */
  async publish(
    volume: CsiVolume,
    name: string,
    access: Access,
    readonly: boolean,
    scope: CleanupScope,
  ): Promise<string> {
    const common = {
      volumeId: volume.id,
      volumeCapability: capability(access),
      volumeContext: volume.context,
      publishContext: await this.#attach(volume, access, readonly, scope),
    };
    const stagingTargetPath = await this.#stage(volume.id, name, common, scope);
    const targetPath = join(await this.#newFolder(`${name}.target`, scope), 'volume');
    scope.add(`publication of ${volume.id}`, async () => {
      const request = { volumeId: volume.id, targetPath };
      await persist((options) => this.#client.node.NodeUnpublishVolume(request, options));
      // The driver's duty by the specification; some leave it.
      await removePlace(targetPath);
    });
    const request = { ...common, targetPath, readonly, ...(stagingTargetPath !== undefined && { stagingTargetPath }) };
    await persist((options) => this.#client.node.NodePublishVolume(request, options));
    return targetPath;
  }

  async #attach(
    { id, context }: CsiVolume,
    access: Access,
    readonly: boolean,
    scope: CleanupScope,
  ): Promise<Readonly<Record<string, string>>> {
    if (!this.#driver.attaches) return {};
    const { nodeId } = this.#node;
    scope.add(`attachment of ${id}`, async () => {
      const request = { volumeId: id, nodeId };
      await persist((options) => this.#client.controller.ControllerUnpublishVolume(request, options));
    });
    const request = { volumeId: id, nodeId, volumeCapability: capability(access), volumeContext: context, readonly };
    const reply = await persist((options) => this.#client.controller.ControllerPublishVolume(request, options));
    return reply.publishContext;
  }

  async #stage(
    volumeId: string,
    name: string,
    common: Parameters<CsiClient['node']['NodeStageVolume']>[0],
    scope: CleanupScope,
  ): Promise<string | undefined> {
    if (!this.#node.stages) return undefined;
    const stagingTargetPath = await this.#newFolder(`${name}.staging`, scope);
    scope.add(`staging of ${volumeId}`, async () => {
      const request = { volumeId, stagingTargetPath };
      await persist((options) => this.#client.node.NodeUnstageVolume(request, options));
    });
    await persist((options) => this.#client.node.NodeStageVolume({ ...common, stagingTargetPath }, options));
    return stagingTargetPath;
  }

  async #newFolder(name: string, scope: CleanupScope): Promise<string> {
    const path = join(this.#folder, name);
    scope.add(`folder ${path}`, () => removeFolder(path));
    await mkdir(path);
    return path;
  }
}

/** Only an empty one: what is still mounted in it must never be deleted. */
export async function removeFolder(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** A folder, or the file that a block device was mounted on; while something still is, it is busy and stays. */
async function removePlace(path: string): Promise<void> {
  try {
    await removeFolder(path);
  } catch (error) {
    if (!isErrno(error, 'ENOTDIR')) throw error;
    await unlink(path);
  }
}

function capability(access: Access) {
  const how =
    access.kind === 'block'
      ? { block: {} }
      : ({ mount: { fsType: access.fsType, mountFlags: [] as string[] } } as const);
  return { ...how, accessMode: { mode: 'SINGLE_NODE_WRITER' as const } };
}

function describe({ volumeId, capacityBytes, volumeContext }: Volume__Output, asked: Bytes): CsiVolume {
  // 0 is the protocol's word for "not known".
  const bytes = BigInt(String(capacityBytes));
  return { id: volumeId, bytes: bytes === 0n ? asked : bytes, context: volumeContext };
}

function given<T>(value: T | null, call: string): T {
  if (value === null) throw new DriverError('internal', `the driver's answer to ${call} is empty`);
  return value;
}
