/** Writes a cpio archive in the "newc" format, which is what an initramfs is (Linux, Documentation/driver-api/early-userspace/buffer-format). */

export interface ArchiveEntry {
  /** Without a leading slash; folders before what is in them. */
  readonly name: string;
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Of a device node. */
  readonly device?: { readonly major: number; readonly minor: number };
}

export const MODE = { folder: 0o040755, program: 0o100755, file: 0o100644, characterDevice: 0o020600 } as const;

export function newc(entries: readonly ArchiveEntry[]): Buffer {
  const trailer: ArchiveEntry = { name: 'TRAILER!!!', mode: 0 };
  return Buffer.concat([...entries, trailer].flatMap((entry, index) => record(entry, index + 1)));
}

function record({ name, mode, data = new Uint8Array(), device }: ArchiveEntry, inode: number): readonly Uint8Array[] {
  const path = Buffer.from(`${name}\0`);
  // inode, mode, uid, gid, links, mtime, size, device of the file system (2), of the node (2), length of the name, check
  const { major = 0, minor = 0 } = device ?? {};
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, path.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [header, path, padding(header.length + path.length), data, padding(data.length)];
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4);
}
