import { constants } from 'node:fs';
import { access, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { LoopBackend, type LoopBackendOptions } from '../../../src/backends/loop/backend.ts';
import type { AttachedDevice, Backend } from '../../../src/core/backend.ts';
import { type Bytes, GiB, MiB } from '../../../src/core/bytes.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { isErrno } from '../../../src/core/errors.ts';
import { type VolumeId, volumeId } from '../../../src/core/ids.ts';
import { makeFilesystem } from '../../../src/host/filesystem.ts';
import { LogLines, NEVER, NODE } from '../../support/rig.ts';
import type { Scratch } from '../../support/scratch.ts';

export interface OpenedPool {
  readonly backend: LoopBackend;
  readonly log: LogLines;
  readonly dataDir: string;
}

/** Opens a pool with a size in the scratch's data folder, also again beside an instance that was dropped as by a crash. */
export async function openPool(scratch: Scratch, change: Partial<LoopBackendOptions> = {}): Promise<OpenedPool> {
  return await openPoolIn(change.dataDir ?? scratch.path('data'), { poolBytes: GiB, ...change });
}

/** Of no size unless one is given. */
export async function openPoolIn(dataDir: string, change: Partial<LoopBackendOptions> = {}): Promise<OpenedPool> {
  const log = new LogLines();
  const options = { dataDir, node: NODE, overcommitRatio: 1000, reservePercent: 0, ...change };
  return { backend: await LoopBackend.open(options, systemClock, log), log, dataDir };
}

export function idOf(name: string): VolumeId {
  return volumeId(NODE, name);
}

export async function create(backend: Backend, name: string, capacityBytes: Bytes = 16n * MiB) {
  return await backend.createVolume({ id: idOf(name), name, capacityBytes, parameters: {} }, NEVER);
}

/** A volume with ext4, mounted on the folder of its name. */
export async function mountExt4(scratch: Scratch, backend: Backend, name: string, capacityBytes: Bytes) {
  const { id } = await create(backend, name, capacityBytes);
  const device = await backend.attach(id, { readOnly: false });
  await makeFilesystem(device.path, 'ext4');
  await backend.setContent(id, { kind: 'filesystem', fsType: 'ext4', identity: 'own' });
  return { id, device, mountPoint: await scratch.mount(name, device.path, 'ext4', ['discard']) };
}

/** Every other block from an offset on, so that an image has so many extents. */
export async function fragment({ path: device }: AttachedDevice, offset: Bytes, extents: number): Promise<void> {
  await using file = await open(device, 'r+');
  const block = Buffer.alloc(4096, 1);
  for (let i = 0; i < extents; i++) await file.write(block, 0, block.length, Number(offset) + i * 8192);
  await file.sync();
}

/** Every path below a folder, relative to it. What is being removed from it meanwhile may be missing. */
export async function everythingIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const below = await Promise.all(
    entries.map(async (entry) => {
      if (!entry.isDirectory()) return [entry.name];
      const inside = await everythingIn(path.join(folder, entry.name)).catch((error: unknown) => {
        if (isErrno(error, 'ENOENT')) return undefined;
        throw error;
      });
      return inside ? [entry.name, ...inside.map((name) => path.join(entry.name, name))] : [];
    }),
  );
  return below.flat().toSorted();
}

export async function isThere(file: string): Promise<boolean> {
  return await access(file, constants.F_OK).then(
    () => true,
    () => false,
  );
}
