import { readFile } from 'node:fs/promises';

/** One line of /proc/self/mountinfo: proc_pid_mountinfo(5). */
export interface MountEntry {
  readonly mountId: number;
  readonly parentId: number;
  /** `7:3`; of btrfs an anonymous number, so look at `source` too. */
  readonly devNumber: string;
  /** The folder of the filesystem that is the root of this mount: `/` unless a bind mount of a part, or of a file. */
  readonly root: string;
  readonly mountPoint: string;
  /** Of this mount: `ro` here is a read-only bind mount. */
  readonly options: readonly string[];
  /**
   * Mounts with the same number share what is mounted in them. Of a slave its master's; absent for a mount that shares
   * with none.
   */
  readonly peerGroup?: number;
  readonly fsType: string;
  readonly source: string;
  /** Of the filesystem: `ro` here is read-only for every mount of it. */
  readonly superOptions: readonly string[];
}

/** Every mount of this process's mount namespace, in the order in which they cover each other. */
export async function readMountTable(): Promise<MountEntry[]> {
  return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'));
}

export function parseMountTable(text: string): MountEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

/** Mounts of a block device, by its number (`7:3`). */
export async function mountsOfDevice(devNumber: string): Promise<MountEntry[]> {
  const table = await readMountTable();
  const name = table.some(({ fsType }) => fsType === 'btrfs') ? await deviceName(devNumber) : undefined;
  return table.filter((entry) => isMountOf(entry, { devNumber, path: name ?? '' }));
}

/**
 * Whether a mount is of the filesystem on this block device. A btrfs shows an anonymous number of its own, and is
 * known by the name of its device only.
 */
export function isMountOf(entry: MountEntry, device: { readonly path: string; readonly devNumber: string }): boolean {
  return entry.devNumber === device.devNumber || (entry.fsType === 'btrfs' && entry.source === device.path);
}

/** What is mounted on exactly this path: the topmost when several are stacked. */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return (await readMountTable()).findLast(({ mountPoint }) => mountPoint === path);
}

async function deviceName(devNumber: string): Promise<string | undefined> {
  try {
    const uevent = await readFile(`/sys/dev/block/${devNumber}/uevent`, 'utf8');
    return /^DEVNAME=(.+)$/m.exec(uevent)?.[1]?.replace(/^/, '/dev/');
  } catch {
    // The device is gone, and so are its mounts.
    return undefined;
  }
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
