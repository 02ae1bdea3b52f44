/** A folder on XFS, in which whatever drivers keep lies on the same filesystem. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { GiB } from '../../src/core/bytes.ts';
import { makeFilesystem } from '../../src/host/filesystem.ts';
import { attachLoop } from '../../src/host/loop.ts';
import { mount } from '../../src/host/mount.ts';
import { createSparseFile } from '../../src/host/sparse-file.ts';

/** Undone with everything else that is mounted below `folder`. */
export async function makeReflinkFolder(folder: string): Promise<string> {
  const image = path.join(folder, 'shared.xfs');
  const target = path.join(folder, 'shared');
  await createSparseFile(image, 32n * GiB);
  const device = await attachLoop({ path: image, readOnly: false, blockSize: 512, directIo: true });
  await makeFilesystem(device.path, 'xfs');
  await mkdir(target);
  await mount({ source: device.path, target, fsType: 'xfs', options: ['noatime', 'nouuid'] });
  return target;
}
