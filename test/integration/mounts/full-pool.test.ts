/** A pool that is really full, under volumes that were promised more. */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { CommandError, run } from '../../../src/host/exec.ts';
import { canGrowMounted } from '../../../src/host/filesystem.ts';
import { eventually } from '../../support/scratch.ts';
import { capability, live, mountAccess, NodePlayground, SIZE } from './node-playground.ts';

async function fill(file: string): Promise<void> {
  for (let piece = 64n * MiB; piece >= 4096n; ) {
    const offset = await stat(file).then(
      ({ size }) => size,
      () => 0,
    );
    try {
      await run(['fallocate', '--offset', String(offset), '--length', String(piece), file]);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      piece /= 2n;
    }
  }
}

// A btrfs that grows writes little, and later.
test.each(['ext4', 'xfs'] as const)(
  'a volume with %s whose growth finds it full is told so, and keeps its data',
  async (fsType) => {
    await using play = await NodePlayground.open({ poolBytes: GiB, overcommitRatio: 50, reservePercent: 0 });
    const asked = capability(mountAccess(fsType));
    const { id } = await play.create('volume');
    await play.stage(id, asked);
    await writeFile(`${play.staging}/file`, 'kept');
    await play.unstage(id);
    const copy = await play.create('copy', SIZE, { kind: 'volume', id });
    await play.stage(id, asked);
    await mkdir(play.path('copy'));
    for (const each of [id, copy.id]) await play.backend.expandVolume(each, 4n * GiB);
    const ballast = play.path('..', 'data', 'pool', 'ballast');
    await fill(ballast);

    const full = { code: 'resource-exhausted', message: expect.stringMatching(/^the pool is full/) };
    await expect(play.stage(copy.id, asked, play.path('copy'))).rejects.toMatchObject(full);
    if (await canGrowMounted(fsType)) {
      const expanding = play.node.expand({ volumeId: id, volumePath: play.staging }, live);
      await expect(expanding).rejects.toMatchObject(full);
    }

    const { freeBytes } = await play.backend.capacity();
    await rm(ballast);
    await eventually('room', async () => (await play.backend.capacity()).freeBytes > freeBytes + 64n * MiB);
    await play.stage(copy.id, asked, play.path('copy'));
    expect(await readFile(play.path('copy', 'file'), 'utf8')).toBe('kept');
  },
);
