/** Where a volume is on this node now: looked at for each call, never remembered (docs/design.md, invariant 10). */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { AttachedDevice, Backend } from '../core/backend.ts';
import { DriverError, isErrno } from '../core/errors.ts';
import type { VolumeId } from '../core/ids.ts';
import { isMountOf, type MountEntry, readMountTable } from '../host/mount-table.ts';

export interface FilesystemMount {
  readonly kind: 'filesystem';
  readonly path: string;
  readonly readOnly: boolean;
  readonly fsType: string;
  readonly device: AttachedDevice;
  /** False for a bind mount of a folder inside: a subPath of kubelet, no target of ours. */
  readonly whole: boolean;
}

/** The device node, bind mounted onto a file. */
export interface NodeMount {
  readonly kind: 'block';
  readonly path: string;
  readonly readOnly: boolean;
  readonly device: AttachedDevice;
}

export interface Placement {
  readonly devices: readonly AttachedDevice[];
  /** In the order of the mount table: of several on one path, the last is on top. */
  readonly filesystems: readonly FilesystemMount[];
  readonly nodes: readonly NodeMount[];
  /** Paths where something is mounted that is not this volume's. */
  readonly foreign: ReadonlySet<string>;
}

export async function locate(backend: Backend, id: VolumeId): Promise<Placement> {
  const devices = await backend.devices(id);
  const placed = await Promise.all((await readMountTable()).map((entry) => placementOf(entry, devices)));
  const own = placed.map(({ mount }) => mount);
  return {
    devices,
    filesystems: own.filter((mount) => mount?.kind === 'filesystem'),
    nodes: own.filter((mount) => mount?.kind === 'block'),
    foreign: new Set(placed.filter(({ mount }) => mount === undefined).map(({ path }) => path)),
  };
}

/**
 * What of the volume is on this path: the topmost.
 * @param field of the request, for the error
 * @throws DriverError failed-precondition when something else is mounted there, on top or below
 */
export function placedAt(
  { filesystems, foreign, nodes }: Placement,
  path: string,
  field: string,
): FilesystemMount | NodeMount | undefined {
  if (foreign.has(path)) throw new DriverError('failed-precondition', `${field}: something else is mounted there`);
  return [...filesystems, ...nodes].findLast((mount) => mount.path === path);
}

interface Placed {
  readonly path: string;
  readonly mount: FilesystemMount | NodeMount | undefined;
}

async function placementOf(entry: MountEntry, devices: readonly AttachedDevice[]): Promise<Placed> {
  const path = entry.mountPoint;
  const device = devices.find((candidate) => isMountOf(entry, candidate));
  return { path, mount: device ? filesystemMount(entry, device) : await nodeMount(entry, devices) };
}

function filesystemMount(entry: MountEntry, device: AttachedDevice): FilesystemMount {
  const { fsType, mountPoint, options, root, superOptions } = entry;
  const readOnly = options.includes('ro') || superOptions.includes('ro');
  return { kind: 'filesystem', path: mountPoint, readOnly, fsType, device, whole: root === '/' };
}

/**
 * A bind mount of a device node shows the filesystem that /dev is, and the node's name as its root; which device that
 * is, only the node itself says.
 */
async function nodeMount(entry: MountEntry, devices: readonly AttachedDevice[]): Promise<NodeMount | undefined> {
  const device = devices.find(({ path }) => basename(path) === basename(entry.root));
  if (!device) return undefined;
  const [there, own] = await Promise.all([deviceOf(entry.mountPoint), deviceOf(device.path)]);
  if (there === undefined || there !== own) return undefined;
  return { kind: 'block', path: entry.mountPoint, readOnly: device.readOnly, device };
}

async function deviceOf(path: string): Promise<bigint | undefined> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isBlockDevice() ? found.rdev : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
