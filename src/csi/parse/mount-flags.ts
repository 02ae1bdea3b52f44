import { invalidArgument } from '../../core/errors.ts';

/** CSI specification, MountVolume.mount_flags: size of the whole field. */
const MAX_FLAGS_BYTES = 4096;

/** What mount(8) takes for another operation or another device, not for an option of the filesystem. */
const NOT_OPTIONS = new Set([
  ...['bind', 'rbind', 'move', 'remount', 'loop', 'offset', 'sizelimit', 'encryption', 'helper', 'uhelper'],
  ...['shared', 'rshared', 'private', 'rprivate', 'slave', 'rslave', 'unbindable', 'runbindable'],
]);

/**
 * Options for the mount of a filesystem, as given; a flag may hold several, separated by commas.
 * @throws DriverError invalid-argument. The value is not in the message: mount flags may hold secrets.
 */
export function parseMountFlags(field: string, flags: readonly string[]): readonly string[] {
  const bytes = flags.reduce((sum, flag) => sum + Buffer.byteLength(flag), 0);
  if (bytes > MAX_FLAGS_BYTES) throw invalidArgument(field, `has ${bytes} bytes, the limit is ${MAX_FLAGS_BYTES}`);
  for (const [i, flag] of flags.entries()) checkFlag(`${field}[${i}]`, flag);
  return flags;
}

function checkFlag(field: string, flag: string): void {
  if (flag.trim() === '') throw invalidArgument(field, 'empty');
  if (/\p{Cc}/u.test(flag) || !flag.isWellFormed()) throw invalidArgument(field, 'control characters are not allowed');
  for (const option of flag.split(',')) {
    const name = (option.split('=', 1)[0] ?? '').trim().toLowerCase();
    // X-mount.mkdir, X-mount.subdir, X-mount.owner: mount(8) changes things outside of the filesystem for them.
    if (NOT_OPTIONS.has(name) || name.startsWith('x-mount.')) {
      throw invalidArgument(field, `${JSON.stringify(name.slice(0, 32))} is not an option of a filesystem`);
    }
  }
}
