/**
 * Where tests of LVM run, on an empty disk with a volume group of their own: on this machine when its kernel has
 * device-mapper, else in a virtual machine.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Bytes, GiB } from '../../src/core/bytes.ts';
import { attachLoop, detachLoop } from '../../src/host/loop.ts';
import { accelerator } from './accelerator.ts';
import { execHere } from './exec-here.ts';
import { type ExecOptions, Machine } from './machine.ts';
import type { GuestResult } from './protocol.ts';

/** Sparse. */
const DISK_BYTES: Bytes = 24n * GiB;
const MEMORY_MIB = 1536;

export const GROUP = 'cofferdam-test';

export interface Ground extends AsyncDisposable {
  /** There a second of this machine takes ten or more. */
  readonly emulated: boolean;
  /** Runs a command there, as root, in the folder of the sources; any exit code is an answer. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<GuestResult>;
}

/** Has the group `GROUP`, empty. A signal switches a virtual machine off at once; what runs here is let finish. */
export async function openGround(signal?: AbortSignal): Promise<Ground> {
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'ground-'));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const disk = path.join(folder, 'disk');
  {
    await using file = await open(disk, 'wx');
    await file.truncate(Number(DISK_BYTES));
  }
  const place = existsSync('/dev/mapper/control') ? await here(disk, resources) : await there(disk, resources, signal);
  const { exec, emulated } = place;
  await must(exec, ['modprobe', '-a', 'dm_thin_pool', 'loop']);
  await must(exec, ['vgcreate', '-y', '--metadatasize', '32m', GROUP, place.device]);
  const owned = resources.move();
  return { exec, emulated, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Place extends Pick<Ground, 'exec' | 'emulated'> {
  readonly device: string;
}

async function there(disk: string, resources: AsyncDisposableStack, signal?: AbortSignal): Promise<Place> {
  const how = await accelerator();
  const emulated = how === 'tcg';
  // With two emulated processors Node.js died now and then without a word (V8: a check of its pages of code).
  const cpus = emulated ? 1 : 2;
  const machine = resources.use(await Machine.start({ accelerator: how, memoryMiB: MEMORY_MIB, cpus, disks: [disk] }));
  const switchOff = () => void machine.kill();
  signal?.addEventListener('abort', switchOff);
  resources.defer(() => signal?.removeEventListener('abort', switchOff));
  return { exec: (argv, options) => machine.exec(argv, options), emulated, device: '/dev/vda' };
}

async function here(disk: string, resources: AsyncDisposableStack): Promise<Place> {
  const { path: device } = await attachLoop({ path: disk, readOnly: false, blockSize: 512, directIo: true });
  resources.defer(() => detachLoop(device));
  resources.defer(() => must(execHere, ['vgremove', '-y', '-ff', GROUP]).then(() => undefined));
  return { exec: execHere, emulated: false, device };
}

export async function must(exec: Ground['exec'], argv: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await exec(argv, { env: { DM_DISABLE_UDEV: '1' } });
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
}
