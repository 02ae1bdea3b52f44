/** Where a volume is on this node now: looked at for each call, never remembered (docs/design.md, invariant 10). */
import { stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import type { AttachedDevice, Backend } from '../core/backend.ts';
import { DriverError, isErrno } from '../core/errors.ts';
import type { VolumeId } from '../core/ids.ts';
import { type MountEntry, readMountTable } from '../host/mount-table.ts';

interface Place {
  readonly path: string;
  /**
   * The folder or file that is mounted on. One that is seen at several paths, as where kubelet's folder is a bind mount
   * that shares with its source, has one place: the kernel mounts and unmounts at all those paths at once.
   */
  readonly place: string;
}

export interface FilesystemMount extends Place {
  readonly kind: 'filesystem';
  readonly readOnly: boolean;
  readonly fsType: string;
  /** Flags of the mount and of its filesystem, in the kernel's words. */
  readonly options: readonly string[];
  readonly device: AttachedDevice;
  /** False for a bind mount of a folder inside: a subPath of kubelet, no target of ours. */
  readonly whole: boolean;
}

/** The device node, bind mounted onto a file. */
export interface NodeMount extends Place {
  readonly kind: 'block';
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
  const table = await readMountTable();
  const byId = new Map(table.map((entry) => [entry.mountId, entry]));
  const placed = await Promise.all(table.map((entry) => placementOf(entry, byId.get(entry.parentId), devices)));
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

/** What of the volume is elsewhere than on these paths, also when it is seen at others too. */
export function placedElsewhere(
  { filesystems, nodes }: Placement,
  paths: readonly (string | undefined)[],
): readonly (FilesystemMount | NodeMount)[] {
  const all = [...filesystems, ...nodes];
  const here = new Set(all.filter(({ path }) => paths.includes(path)).map(({ place }) => place));
  return all.filter(({ path, place }) => !paths.includes(path) && !here.has(place));
}

interface Placed {
  readonly path: string;
  readonly mount: FilesystemMount | NodeMount | undefined;
}

async function placementOf(
  entry: MountEntry,
  parent: MountEntry | undefined,
  devices: readonly AttachedDevice[],
): Promise<Placed> {
  const path = entry.mountPoint;
  const at = { path, place: placeOf(entry, parent) };
  const device = devices.find((candidate) => candidate.devNumber === entry.devNumber);
  return { path, mount: device ? filesystemMount(entry, at, device) : await nodeMount(entry, at, devices) };
}

/** Among mounts that share, a folder is known by its path in their filesystem (mount_namespaces(7), propagation). */
function placeOf({ mountPoint }: MountEntry, parent: MountEntry | undefined): string {
  if (parent?.peerGroup === undefined) return mountPoint;
  return `${parent.peerGroup}:${join(parent.root, relative(parent.mountPoint, mountPoint))}`;
}

function filesystemMount(entry: MountEntry, at: Place, device: AttachedDevice): FilesystemMount {
  const options = [...entry.options, ...entry.superOptions];
  const { fsType, root } = entry;
  return { kind: 'filesystem', ...at, readOnly: options.includes('ro'), fsType, options, device, whole: root === '/' };
}

/**
 * A bind mount of a device node shows the filesystem that /dev is, and the node's name as its root; which device that
 * is, only the node itself says.
 */
async function nodeMount(
  entry: MountEntry,
  at: Place,
  devices: readonly AttachedDevice[],
): Promise<NodeMount | undefined> {
  const device = devices.find(({ path }) => basename(path) === basename(entry.root));
  if (!device) return undefined;
  const [there, own] = await Promise.all([deviceOf(entry.mountPoint), deviceOf(device.path)]);
  if (there === undefined || there !== own) return undefined;
  return { kind: 'block', ...at, readOnly: device.readOnly, device };
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
