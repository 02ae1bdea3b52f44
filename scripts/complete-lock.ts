/**
 * Writes the packages of other platforms into package-lock.json that a registry did not have when it was made.
 *
 * Native tools come as one optional package a platform. `npm install` leaves out those that it can't find, and `npm ci`
 * then refuses the lockfile, although it would not install them anyway. What it needs is their version, which their
 * parent pins, and the platform, which their name tells. Run it after `npm install`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  packages: Record<string, LockEntry>;
}

const OS = new Set(['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32']);
const CPU = new Set(['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64']);

/** Entries that the lockfile lacks, by path. */
export function missingEntries({ packages }: Lockfile): ReadonlyMap<string, LockEntry> {
  const missing = new Map<string, LockEntry>();
  for (const [parent, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (packages[`${parent}/node_modules/${name}`] ?? packages[`node_modules/${name}`]) continue;
      if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`${parent}: ${name} ${version} is not an exact version`);
      missing.set(`node_modules/${name}`, standIn(name, version, entry.dev === true));
    }
  }
  return missing;
}

/** `@oxlint/binding-linux-x64-musl` is for linux, x64, musl. The keys are in npm's order. */
function standIn(name: string, version: string, dev: boolean): LockEntry {
  const words = name.replace(/^.*\//, '').split('-');
  const os = words.find((word) => OS.has(word));
  const cpu = words.find((word) => CPU.has(word));
  if (!os || !cpu) throw new Error(`${name} does not tell its platform`);
  const libc = words.map(libcOf).find(Boolean);
  return {
    version,
    cpu: [cpu],
    ...(dev && { dev }),
    ...(os === 'linux' && libc && { libc: [libc] }),
    optional: true,
    os: [os],
  };
}

function libcOf(word: string): string | undefined {
  if (word.startsWith('musl')) return 'musl';
  return word.startsWith('gnu') ? 'glibc' : undefined;
}

if (import.meta.main) {
  const file = path.join(import.meta.dirname, '../package-lock.json');
  const lockfile = JSON.parse(readFileSync(file, 'utf8')) as Lockfile;
  const missing = missingEntries(lockfile);
  const all = Object.entries({ ...lockfile.packages, ...Object.fromEntries(missing) });
  lockfile.packages = Object.fromEntries(all.toSorted(([a], [b]) => a.localeCompare(b, 'en')));
  writeFileSync(file, `${JSON.stringify(lockfile, null, 2)}\n`);
  console.log(`${missing.size} packages added`);
}
