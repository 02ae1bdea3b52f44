/**
 * Whether a filesystem is mounted with certain mount flags. Nobody remembers what it was mounted with: the kernel is
 * asked (mountinfo), and it shows options in its own words and order, hides most defaults, adds some that follow from
 * others, and never shows some at all.
 *
 * So the rule: only options that tell are compared. An option tells when the kernel shows it exactly if it was asked for,
 * whatever else was (`CLUES`; the tests try each). Of these the last of a kind counts, order does not, and a value that is
 * the default counts as not asked for. Any other difference is taken for none: better to miss that a volume is staged
 * otherwise than to refuse a caller who only asks again. `ro` is no clue: read-only has rules of its own.
 */
import type { FsType } from '../core/volume.ts';
import { mountFlags } from './access-modes.ts';

interface Clue {
  /** The option that takes this one back. */
  readonly takenBackBy?: string;
  /** Values that the kernel does not show: the default. */
  readonly silent?: readonly string[];
  /** Of several spellings of a value, one. */
  readonly spelling?: (value: string) => string;
}

type Clues = Readonly<Record<string, Clue>>;

/** What the kernel's VFS keeps, for a mount or for its filesystem: the same for every type. */
const OF_EVERY_TYPE: Clues = {
  nosuid: { takenBackBy: 'suid' },
  nodev: { takenBackBy: 'dev' },
  noexec: { takenBackBy: 'exec' },
  nosymfollow: { takenBackBy: 'symfollow' },
  noatime: { takenBackBy: 'atime' },
  nodiratime: { takenBackBy: 'diratime' },
  lazytime: { takenBackBy: 'nolazytime' },
  sync: { takenBackBy: 'async' },
  dirsync: {},
};

const CLUES: Readonly<Record<FsType, Clues>> = {
  ext4: {
    ...OF_EVERY_TYPE,
    commit: { silent: ['0', '5'] },
    // Older kernels always show data=ordered.
    data: { silent: ['ordered'] },
    discard: { takenBackBy: 'nodiscard' },
    nobarrier: { takenBackBy: 'barrier' },
    noauto_da_alloc: { takenBackBy: 'auto_da_alloc' },
  },
  xfs: {
    ...OF_EVERY_TYPE,
    allocsize: { spelling: inBytes },
    discard: { takenBackBy: 'nodiscard' },
    filestreams: {},
    inode32: { takenBackBy: 'inode64' },
    largeio: { takenBackBy: 'nolargeio' },
    logbsize: { silent: ['32768'], spelling: inBytes },
    logbufs: { silent: ['8'] },
    noalign: {},
    swalloc: {},
  },
  btrfs: {
    ...OF_EVERY_TYPE,
    autodefrag: { takenBackBy: 'noautodefrag' },
    commit: { silent: ['0', '30'] },
    compress: { silent: ['no', 'none'], spelling: algorithm },
    flushoncommit: { takenBackBy: 'noflushoncommit' },
    noacl: { takenBackBy: 'acl' },
    nobarrier: { takenBackBy: 'barrier' },
    notreelog: { takenBackBy: 'treelog' },
  },
};

/** Options that stand for others: mount(8), ext4(5). */
const STANDS_FOR: ReadonlyMap<string, readonly string[]> = new Map([
  ['user', ['nosuid', 'nodev', 'noexec']],
  ['users', ['nosuid', 'nodev', 'noexec']],
  ['owner', ['nosuid', 'nodev']],
  ['group', ['nosuid', 'nodev']],
  ['barrier=0', ['nobarrier']],
  ['barrier=1', ['barrier']],
]);

/**
 * What tells the flags apart from those that a filesystem is mounted with.
 * @param shown of mountinfo: options of the mount and of its filesystem
 * @returns names of options; none when they are the same as far as can be told
 */
export function differingFlags(fsType: FsType, shown: readonly string[], flags: readonly string[]): readonly string[] {
  const there = whatTells(fsType, shown);
  const asked = whatTells(fsType, mountFlags(flags));
  const names = new Set([...there.keys(), ...asked.keys()]);
  return [...names].filter((name) => there.get(name) !== asked.get(name));
}

function whatTells(fsType: FsType, options: readonly string[]): ReadonlyMap<string, string> {
  const clues = CLUES[fsType];
  const found = new Map<string, string>();
  for (const option of options.flatMap((given) => STANDS_FOR.get(given) ?? [given])) {
    const [name = '', ...rest] = option.split('=');
    for (const [other, { takenBackBy }] of Object.entries(clues)) if (takenBackBy === name) found.delete(other);
    const clue = Object.hasOwn(clues, name) ? clues[name] : undefined;
    if (!clue) continue;
    const value = clue.spelling?.(rest.join('=')) ?? rest.join('=');
    if (clue.silent?.includes(value)) found.delete(name);
    else found.set(name, value);
  }
  return found;
}

/** `64k` and `65536` are the same. */
function inBytes(value: string): string {
  const [, digits = '', unit = ''] = /^(\d+)([kmg]?)$/i.exec(value) ?? [];
  return digits === '' ? value : String(BigInt(digits) << BigInt(10 * ' kmg'.indexOf(unit.toLowerCase() || ' ')));
}

/** The level that stands for none given is the kernel's to choose; bare `compress` means zlib: btrfs(5). */
function algorithm(value: string): string {
  return value.split(':', 1)[0] || 'zlib';
}
