/** Volumes of our driver, brought onto this node through CSI, and where their images are. */
import path from 'node:path';
import type { Bytes } from '../../src/core/bytes.ts';
import { parseId } from '../../src/core/ids.ts';
import { Cleanup } from '../../src/prove/cleanup.ts';
import { mapLimited } from '../../src/prove/concurrency.ts';
import { describeDriver, describeNode } from '../../src/prove/driver.ts';
import { VolumeCalls } from '../../src/prove/volumes.ts';
import type { DriverProcess } from './driver-process.ts';

export interface MountedVolume {
  readonly id: string;
  /** Where its filesystem is mounted. */
  readonly folder: string;
}

/** Makes ext4 volumes and mounts them; disposing of the stack undoes it. */
export async function mountVolumes(
  { client }: DriverProcess,
  count: number,
  bytes: Bytes,
  folder: string,
  signal: AbortSignal,
  resources: AsyncDisposableStack,
): Promise<readonly MountedVolume[]> {
  const cleanup = new Cleanup();
  resources.defer(async () => {
    await cleanup.run();
  });
  const driver = await describeDriver(client, signal);
  const calls = new VolumeCalls(client, driver, await describeNode(client, driver, signal), {}, folder);
  const access = { kind: 'mount', fsType: 'ext4' } as const;
  const indexes = Array.from({ length: count }, (_, index) => index);
  return await mapLimited(indexes, 4, async (index) => {
    signal.throwIfAborted();
    const scope = cleanup.scope();
    const volume = await calls.create({ name: `bench-${index}`, bytes, access }, scope);
    return { id: volume.id, folder: await calls.publish(volume, `v${index}`, access, false, scope) };
  });
}

/** ARCHITECTURE.md, "A pool on disk". */
export function imageOf(dataDir: string, volumeId: string): string {
  return path.join(dataDir, 'pool/volumes', `${parseId(volumeId)?.local}.img`);
}
