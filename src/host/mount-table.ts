import { readFile, stat } from 'node:fs/promises';
import { isErrno } from '../core/errors.ts';
import { deviceNumber } from './device-number.ts';

/** One line of /proc/self/mountinfo: proc_pid_mountinfo(5). */
export interface MountEntry {
  readonly mountId: number;
  readonly parentId: number;
  /** `7:3`, of the block device. The kernel's line has an anonymous number for a btrfs: see `readMountTable`. */
  readonly devNumber: string;
  /** The folder of the filesystem that is the root of this mount: `/` unless a bind mount of a part, or of a file. */
  readonly root: string;
  readonly mountPoint: string;
  /** Flags of this mount: `ro` here is a read-only bind mount. */
  readonly options: readonly string[];
  /**
   * Mounts with the same number share what is mounted in them. Of a slave its master's; absent for a mount that shares
   * with none.
   */
  readonly peerGroup?: number;
  readonly fsType: string;
  readonly source: string;
  /** Flags of the filesystem: `ro` here is read-only for every mount of it. */
  readonly superOptions: readonly string[];
}

/** Every mount of this process's mount namespace, in the order in which they cover each other. */
export async function readMountTable(): Promise<MountEntry[]> {
  return await Promise.all(parseMountTable(await readFile('/proc/self/mountinfo', 'utf8')).map(onDevice));
}

/**
 * A btrfs may have several devices, and so shows a number of its own and the name of one: `/dev/dm-5` may be called
 * `/dev/mapper/...` there.
 */
async function onDevice(entry: MountEntry): Promise<MountEntry> {
  if (entry.fsType !== 'btrfs' || !entry.source.startsWith('/')) return entry;
  try {
    const { rdev } = await stat(entry.source, { bigint: true });
    return { ...entry, devNumber: deviceNumber(rdev) };
  } catch (error) {
    // Its device is gone, or has no node here.
    if (isErrno(error, 'ENOENT')) return entry;
    throw error;
  }
}

export function parseMountTable(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

/** Mounts of a block device, by its number (`7:3`). */
export async function mountsOfDevice(devNumber: string): Promise<MountEntry[]> {
  return (await readMountTable()).filter((entry) => entry.devNumber === devNumber);
}

/** What is mounted on exactly this path: the topmost when several are stacked. */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return (await readMountTable()).findLast(({ mountPoint }) => mountPoint === path);
}

function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  // Optional fields (propagation) stand between the sixth field and a lone dash.
  const dash = fields.indexOf('-', 6);
  const field = (index: number): string => decodeEscapes(fields[index] ?? '');
  const peerGroup = peerGroupOf(fields.slice(6, dash));
  return {
    mountId: Number(field(0)),
    parentId: Number(field(1)),
    devNumber: field(2),
    root: field(3),
    mountPoint: field(4),
    options: field(5).split(','),
    ...(peerGroup !== undefined && { peerGroup }),
    fsType: field(dash + 1),
    source: field(dash + 2),
    superOptions: field(dash + 3).split(','),
  };
}

function peerGroupOf(optionalFields: readonly string[]): number | undefined {
  const group = (tag: string) => optionalFields.find((text) => text.startsWith(tag))?.slice(tag.length);
  const number = group('master:') ?? group('shared:');
  return number === undefined ? undefined : Number(number);
}

/** The kernel writes space, tab, newline and backslash as octal escapes of bytes; the rest is UTF-8 as it is. */
function decodeEscapes(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
