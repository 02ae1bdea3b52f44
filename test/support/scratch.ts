/** A temporary folder that leaves nothing behind, whatever was mounted, attached, frozen or started in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bytes } from '../../src/core/bytes.ts';
import { messageOf } from '../../src/core/errors.ts';
import type { FsType } from '../../src/core/volume.ts';
import { makeFilesystem } from '../../src/host/filesystem.ts';
import { openForFreeze, thawFilesystem } from '../../src/host/freeze.ts';
import { attachLoop, detachLoop, type LoopDevice, listLoops } from '../../src/host/loop.ts';
import { mount, unmount } from '../../src/host/mount.ts';
import { type MountEntry, readMountTable } from '../../src/host/mount-table.ts';
import { createSparseFile } from '../../src/host/sparse-file.ts';

/** Pools in pools: what holds one thing is only free when the thing above it, or what empties a trash, is gone. */
const CLEANING_ROUNDS = 50;
const CLEANING_PAUSE_MS = 100;

export class Scratch implements AsyncDisposable {
  readonly folder: string;
  readonly #pids = new Set<number>();

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Scratch> {
    return new Scratch(await mkdtemp('/var/tmp/cofferdam-test-'));
  }

  path(...names: string[]): string {
    return path.join(this.folder, ...names);
  }

  /** A new filesystem in a sparse file of this name, mounted on the folder of this name. @returns the folder */
  async filesystem(name: string, fsType: FsType, bytes: Bytes): Promise<string> {
    const image = this.path(`${name}.img`);
    await createSparseFile(image, bytes);
    const device = await attachLoop({ path: image, readOnly: false, blockSize: 512, directIo: true });
    await makeFilesystem(device.path, fsType);
    await mkdir(this.path(name));
    await mount({ source: device.path, target: this.path(name), fsType, options: [] });
    return this.path(name);
  }

  /** Mounts on a new folder of this name. @returns the folder */
  async mount(name: string, source: string, fsType: FsType, options: readonly string[] = []): Promise<string> {
    await mkdir(this.path(name), { recursive: true });
    await mount({ source, target: this.path(name), fsType, options });
    return this.path(name);
  }

  /** A process that will be ended with the folder, were it stopped or stuck. */
  owns(pid: number): void {
    this.#pids.add(pid);
  }

  /** Starts a writer of one durable block: it ends as soon as the filesystem takes writes. */
  writer(file: string): Writer {
    const writer = new Writer(file);
    this.owns(writer.pid);
    return writer;
  }

  async mounts(): Promise<readonly MountEntry[]> {
    return (await readMountTable()).filter(({ mountPoint }) => this.#holds(mountPoint));
  }

  async loops(): Promise<readonly LoopDevice[]> {
    return (await listLoops()).filter(({ backingPath }) => this.#holds(backingPath));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const obstacles: string[] = [];
    const attempt = async (what: string, action: () => Promise<unknown>) => {
      await action().catch((error: unknown) => obstacles.push(`${what}: ${messageOf(error)}`));
    };
    // A process that waits for a frozen filesystem can't even be killed: thaw first.
    for (const { mountPoint } of await this.mounts()) await attempt(mountPoint, () => thawIfFrozen(mountPoint));
    for (const pid of this.#pids) await endProcess(pid);
    for (let round = 0; round < CLEANING_ROUNDS; round++) {
      const mounts = await this.mounts();
      const loops = await this.loops();
      if (mounts.length + loops.length === 0) break;
      if (round > 1) await sleep(CLEANING_PAUSE_MS);
      obstacles.length = 0;
      for (const { mountPoint } of mounts.toReversed()) await attempt(mountPoint, () => unmount(mountPoint));
      for (const loop of loops) await attempt(loop.path, () => detachLoop(loop.path));
    }
    const left = [
      ...(await this.mounts()).map(({ mountPoint }) => mountPoint),
      ...(await this.loops()).map((l) => l.path),
    ];
    // Never through a mount: what is mounted may be somebody's data.
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}; ${obstacles.join('; ')}`);
    await rm(this.folder, { recursive: true });
  }

  #holds(file: string): boolean {
    return file.startsWith(`${this.folder}/`);
  }
}

/** Far past every lease: what is still blocked then is frozen for good. */
const BLOCKED_MS = 60_000;

/** `dd` in a process of its own: blocked by a freeze, it takes no thread of ours with it. */
export class Writer {
  readonly #child: ChildProcess;
  readonly #start = performance.now();
  /** Resolves to how long it took, milliseconds. @throws Error when it could not write, or is blocked for good */
  readonly done: Promise<number>;
  #ended = false;

  constructor(file: string) {
    this.#child = spawn('dd', ['if=/dev/zero', `of=${file}`, 'bs=4096', 'count=1', 'conv=fsync', 'status=none'], {
      stdio: 'ignore',
    });
    this.done = this.#wait();
    this.done.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  async #wait(): Promise<number> {
    const patience = AbortSignal.timeout(BLOCKED_MS);
    const exit = once(this.#child, 'exit', { signal: patience }).catch(() => {
      throw new Error(`a writer was blocked for ${BLOCKED_MS} ms`);
    });
    const [code, signal] = (await exit) as [number | null, string | null];
    this.#ended = true;
    if (code !== 0) throw new Error(`dd ended with ${code ?? signal}`);
    return performance.now() - this.#start;
  }
}

/** Thaws, were it frozen several times over. @returns whether it was frozen */
export async function thawIfFrozen(mountPoint: string): Promise<boolean> {
  await using root = await openForFreeze(mountPoint);
  let was = false;
  while (await thawFilesystem(root.fd)) was = true;
  return was;
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function endProcess(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return; // it has ended
  }
  for (let waited = 0; waited < 5000 && isRunning(pid); waited += 20) await sleep(20);
}

/** Looks again and again until it holds; for what happens in the background. */
export async function eventually(what: string, holds: () => Promise<boolean> | boolean, ms = 20_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(20);
  }
}
