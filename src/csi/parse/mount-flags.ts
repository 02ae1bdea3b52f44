import { invalidArgument } from '../../core/errors.ts';

/** CSI specification, MountVolume.mount_flags: size of the whole field. */
const MAX_FLAGS_BYTES = 4096;

/** What mount(8) or a filesystem takes for another operation or another device, not for an option of the filesystem. */
const NOT_OPTIONS = new Set([
  ...['bind', 'rbind', 'move', 'remount', 'loop', 'offset', 'sizelimit', 'encryption', 'helper', 'uhelper'],
  ...['shared', 'rshared', 'private', 'rprivate', 'slave', 'rslave', 'unbindable', 'runbindable'],
  ...['journal_path', 'journal_dev', 'logdev', 'rtdev', 'device'],
]);
/** X-mount.mkdir, X-mount.owner: mount(8) changes things outside of the filesystem. verity.hashdevice: another device. */
const NOT_OPTIONS_OF = ['x-mount.', 'verity.'];

/**
 * Options for the mount of a filesystem, as given; a flag may hold several, separated by commas.
 * @throws DriverError invalid-argument. The value is not in the message: mount flags may hold secrets.
 */
export function parseMountFlags(field: string, flags: readonly string[]): readonly string[] {
  const bytes = flags.reduce((sum, flag) => sum + Buffer.byteLength(flag), 0);
  if (bytes > MAX_FLAGS_BYTES) throw invalidArgument(field, `has ${bytes} bytes, the limit is ${MAX_FLAGS_BYTES}`);
  for (const [i, flag] of flags.entries()) checkFlag(`${field}[${i}]`, flag);
  const names = new Set(flags.flatMap(optionNames));
  if (names.has('ro') && names.has('rw')) throw invalidArgument(field, '"ro" and "rw" contradict each other');
  return flags;
}

function checkFlag(field: string, flag: string): void {
  if (flag.trim() === '') throw invalidArgument(field, 'empty');
  if (/\p{Cc}/u.test(flag) || !flag.isWellFormed()) throw invalidArgument(field, 'control characters are not allowed');
  // mount(8) would take all that follows, other flags too, for part of the value.
  if (flag.split('"').length % 2 === 0) throw invalidArgument(field, 'a quote is opened and not closed');
  for (const name of optionNames(flag)) {
    if (NOT_OPTIONS.has(name) || NOT_OPTIONS_OF.some((prefix) => name.startsWith(prefix))) {
      throw invalidArgument(field, `${JSON.stringify(name.slice(0, 32))} is not an option of a filesystem`);
    }
  }
}

function optionNames(flag: string): readonly string[] {
  return flag.split(',').map((option) => (option.split('=', 1)[0] ?? '').trim().toLowerCase());
}
