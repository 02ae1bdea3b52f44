import { open } from 'node:fs/promises';
import { expect } from '@jest/globals';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { checkFilesystem } from '../../src/host/filesystem.ts';
import { unmount } from '../../src/host/mount.ts';
import type { Rig } from './rig.ts';
import type { Scratch } from './scratch.ts';

async function readNumber(path: string): Promise<number> {
  await using file = await open(path, 'r');
  return (await file.read(Buffer.alloc(4096), 0, 4096, 0)).buffer.readInt32LE();
}

/** The number in a snapshot, by making a volume of it and looking, as anybody would. */
export async function numberIn(rig: Rig, scratch: Scratch, { id, sizeBytes, content }: Snapshot): Promise<number> {
  const volume = await rig.create(`of ${id}`, sizeBytes, { kind: 'snapshot', id });
  const { path } = await rig.backend.attach(volume.id, { readOnly: false });
  try {
    if (content.kind !== 'filesystem') return await readNumber(path);
    const { fsType } = content;
    if (fsType === 'ext4') expect(await checkFilesystem(path, fsType)).toMatchObject({ clean: true });
    const mountPoint = await scratch.mount('restored', path, fsType, fsType === 'xfs' ? ['nouuid'] : []);
    try {
      return await readNumber(`${mountPoint}/number`);
    } finally {
      await unmount(mountPoint);
    }
  } finally {
    await rig.backend.detach(volume.id);
    await rig.backend.deleteVolume(volume.id);
  }
}
