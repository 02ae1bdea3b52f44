/** Volumes of our driver, brought onto this node through CSI, and where their images are. */
import path from 'node:path';
import type { Bytes } from '../../src/core/bytes.ts';
import { mapLimited } from '../../src/core/concurrency.ts';
import { parseId } from '../../src/core/ids.ts';
import { Cleanup } from '../../src/prove/cleanup.ts';
import type { CsiClient } from '../../src/prove/csi-client.ts';
import { describeDriver, describeNode } from '../../src/prove/driver.ts';
import { VolumeCalls } from '../../src/prove/volumes.ts';
import type { DriverProcess } from './driver-process.ts';

export interface MountedVolume {
  readonly id: string;
  /** Where its filesystem is mounted. */
  readonly folder: string;
}

/**
 * Makes ext4 volumes and mounts them, on the driver's nodes in turn; disposing of the stack undoes it.
 * @param driver its controller, and its nodes where they are elsewhere
 */
export async function mountVolumes(
  { client, nodes = [client] }: Pick<DriverProcess, 'client'> & { readonly nodes?: readonly Pick<CsiClient, 'node'>[] },
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
  const calls = await Promise.all(
    nodes.map(async ({ node }) => {
      const facts = await describeNode({ node }, driver, signal);
      return new VolumeCalls({ controller: client.controller, node }, driver, facts, {}, folder);
    }),
  );
  const access = { kind: 'mount', fsType: 'ext4' } as const;
  const indexes = Array.from({ length: count }, (_, index) => index);
  return await mapLimited(indexes, 4, async (index) => {
    signal.throwIfAborted();
    const scope = cleanup.scope();
    const onNode = calls[index % calls.length] as VolumeCalls;
    const volume = await onNode.create({ name: `bench-${index}`, bytes, access }, scope);
    return { id: volume.id, folder: await onNode.publish(volume, `v${index}`, access, false, scope) };
  });
}

/** ARCHITECTURE.md, "A pool on disk". */
export function imageOf(dataDir: string, volumeId: string): string {
  return path.join(dataDir, 'pool/volumes', `${parseId(volumeId)?.local}.img`);
}
