/**
 * The guest's kernel: Debian's cloud kernel, unpacked and not installed, with an initramfs of our own. Kept in
 * `.tools/vm`; a new version of the package, or of what we put into the initramfs, makes another one beside it.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { ROOT } from '../support/command.ts';
import { type ArchiveEntry, MODE, newc } from './newc.ts';

export const CACHE = path.join(ROOT, '.tools/vm');
const BUSYBOX = '/bin/busybox';
const GUEST = path.join(import.meta.dirname, 'guest');
/** What the guest needs before it has a root; the rest it loads itself. */
const BOOT_MODULES = ['virtio_pci', 'virtio_blk', 'virtio_console', 'virtio_rng', 'overlay', 'virtiofs'];
const DOWNLOAD_MS = 300_000;

export interface Kernel {
  readonly image: string;
  readonly initramfs: string;
  /** The folder to be seen as /usr/lib/modules. */
  readonly modules: string;
  readonly release: string;
}

export async function ensureKernel(): Promise<Kernel> {
  await mkdir(CACHE, { recursive: true });
  const tree = await ensureTree(await packageName());
  // The guest's first root has none of our links.
  const modules = await realpath(path.join(tree, 'lib/modules'));
  const [release = ''] = await readdir(modules);
  const image = path.join(tree, 'boot', `vmlinuz-${release}`);
  return { image, modules, release, initramfs: await ensureInitramfs(path.join(modules, release), tree) };
}

/** `linux-image-6.1.0-56-cloud-amd64` */
async function packageName(): Promise<string> {
  const { stdout } = await run(['apt-cache', 'depends', 'linux-image-cloud-amd64']);
  const name = /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
  if (name === undefined) throw new Error('apt knows no linux-image-cloud-amd64: apt-get update');
  return name;
}

async function ensureTree(name: string): Promise<string> {
  const tree = path.join(CACHE, name);
  if (existsSync(tree)) return tree;
  const work = await mkdtemp(path.join(CACHE, 'unpack-'));
  try {
    await run(['sh', '-c', 'cd "$0" && exec apt-get download -q "$1"', work, name], { timeoutMs: DOWNLOAD_MS });
    const archive = (await readdir(work)).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download ${name} left no package`);
    const unpacked = path.join(work, 'tree');
    await run(['dpkg-deb', '-x', path.join(work, archive), unpacked]);
    const [release = ''] = await readdir(path.join(unpacked, 'lib/modules'));
    await run(['depmod', '-b', unpacked, release]);
    await rename(unpacked, tree);
  } catch (error) {
    // Somebody else was quicker.
    if (!existsSync(tree)) throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return tree;
}

async function ensureInitramfs(modules: string, tree: string): Promise<string> {
  const archive = newc([
    ...['bin', 'dev', 'proc', 'sys', 'modules', 'root'].map((name) => ({ name, mode: MODE.folder })),
    { name: 'dev/console', mode: MODE.characterDevice, device: { major: 5, minor: 1 } },
    { name: 'bin/busybox', mode: MODE.program, data: await readFile(BUSYBOX) },
    { name: 'init', mode: MODE.program, data: await readFile(path.join(GUEST, 'init')) },
    { name: 'stage2', mode: MODE.program, data: await readFile(path.join(GUEST, 'stage2')) },
    ...(await moduleEntries(modules)),
  ]);
  const digest = createHash('sha256').update(archive).digest('hex').slice(0, 16);
  const file = path.join(CACHE, `${path.basename(tree)}-${digest}.cpio`);
  if (existsSync(file)) return file;
  const unfinished = `${file}.${process.pid}`;
  await writeFile(unfinished, archive);
  await rename(unfinished, file);
  return file;
}

/** The modules with what they depend on, in an order in which they can be loaded, and the list that says so. */
async function moduleEntries(modules: string): Promise<readonly ArchiveEntry[]> {
  const table = await readFile(path.join(modules, 'modules.dep'), 'utf8');
  const needs = new Map(
    table.split('\n').map((line) => {
      const [file = '', needed = ''] = line.split(':');
      return [file, needed.split(' ').filter(Boolean)] as const;
    }),
  );
  const files = new Set<string>();
  for (const name of BOOT_MODULES) {
    const file = [...needs.keys()].find((key) => path.basename(key).replaceAll('-', '_') === `${name}.ko`);
    if (file === undefined) continue; // built in
    // modules.dep lists what a module needs with the deepest last.
    for (const needed of [...(needs.get(file) ?? [])].reverse()) files.add(needed);
    files.add(file);
  }
  const entries = await Promise.all(
    [...files].map(async (file) => ({
      name: `modules/${path.basename(file)}`,
      mode: MODE.file,
      data: await readFile(path.join(modules, file)),
    })),
  );
  const list = [...files].map((file) => path.basename(file)).join('\n');
  return [...entries, { name: 'modules/list', mode: MODE.file, data: Buffer.from(`${list}\n`) }];
}
