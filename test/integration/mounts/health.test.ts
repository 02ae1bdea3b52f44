/** What is told of volumes that are broken in earnest, and of the same ones repaired. */
import { execFileSync } from 'node:child_process';
import { rename, rm, truncate } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { LoopBackend } from '../../../src/backends/loop/backend.ts';
import { GiB } from '../../../src/core/bytes.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { parseId, type VolumeId } from '../../../src/core/ids.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { detachLoop } from '../../../src/host/loop.ts';
import { healthOf } from '../../../src/mounts/health.ts';
import { makeExt4Error, shutDown } from '../../support/break.ts';
import { LogLines } from '../../support/rig.ts';
import { eventually } from '../../support/scratch.ts';
import { block, capability, live, mountAccess, NodePlayground } from './node-playground.ts';

/** `data-loss ImageMissing` */
async function told(play: NodePlayground, id: VolumeId): Promise<readonly string[]> {
  const [health] = await healthOf(play.backend, [id], live);
  expect(health?.id).toBe(id);
  return (health?.conditions ?? []).map(({ status, reason }) => `${status} ${reason}`);
}

function imageOf(play: NodePlayground, id: VolumeId): string {
  return play.path('..', 'data/pool/volumes', `${parseId(id)?.local}.img`);
}

async function deviceOf(play: NodePlayground, id: VolumeId): Promise<string> {
  const [device] = await play.backend.devices(id);
  return device?.path ?? '';
}

test.each(FS_TYPES)(
  '%s: nothing is wrong while it is made, staged, published, read-only, and not in use',
  async (fsType) => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    expect(await told(play, id)).toEqual([]);
    await play.stage(id, capability(mountAccess(fsType)));
    await play.publish(id, 'writer');
    await play.publish(id, 'reader', { readOnly: true });
    expect(await told(play, id)).toEqual([]);
    for (const name of ['writer', 'reader']) await play.unpublish(id, name);
    await play.unstage(id);
    // Mounted read-only by whoever asks for it, not by an error.
    await play.stage(id, capability(mountAccess(fsType), 'SINGLE_NODE_READER_ONLY'));
    expect(await told(play, id)).toEqual([]);
    await play.unstage(id);
    await play.stage(id, capability(mountAccess(fsType, ['ro'])));
    expect(await told(play, id)).toEqual([]);
    await play.unstage(id);
    expect(await told(play, id)).toEqual([]);
  },
);

describe.each(['ext4', 'xfs'] as const)('%s', (fsType) => {
  test('that has shut down can not be reached, until it is mounted anew', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const other = await play.create('other');
    await play.stage(id, capability(mountAccess(fsType)));
    await play.publish(id, 'target');
    shutDown(play.staging);
    expect(await told(play, id)).toEqual(['inaccessible FilesystemShutDown']);
    expect(await told(play, other.id)).toEqual([]);
    await play.unpublish(id, 'target');
    await play.unstage(id);
    await play.stage(id);
    expect(await told(play, id)).toEqual([]);
    await play.unstage(id);
  });
});

test.each([
  ['remount-ro', ['degraded FilesystemReadOnly', 'degraded FilesystemErrors']],
  ['continue', ['degraded FilesystemErrors']],
])('ext4 that has found an error (errors=%s) is degraded until it is checked', async (errors, conditions) => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  const asked = capability(mountAccess('ext4', [`errors=${errors}`]));
  await play.stage(id, asked);
  await play.publish(id, 'target', { capability: asked });
  await makeExt4Error(await deviceOf(play, id));
  // The count is written down in the background.
  await eventually('the error is counted', async () => (await told(play, id)).includes('degraded FilesystemErrors'));
  expect(await told(play, id)).toEqual(conditions);
  await play.unpublish(id, 'target');
  await play.unstage(id);
  // e2fsck says by 1 that it has repaired something.
  execFileSync('sh', ['-c', 'e2fsck -f -p "$0"; test $? -le 1', imageOf(play, id)], { stdio: 'pipe' });
  await play.stage(id, asked);
  expect(await told(play, id)).toEqual([]);
  await play.unstage(id);
});

test('an image that is cut off, gone, or another one than what is in use: data is lost', async () => {
  await using play = await NodePlayground.open();
  const { id, capacityBytes } = await play.create('volume');
  const image = imageOf(play, id);
  await truncate(image, Number(capacityBytes) - 4096);
  expect(await told(play, id)).toEqual(['data-loss ImageTruncated']);
  await truncate(image, Number(capacityBytes));
  expect(await told(play, id)).toEqual([]);

  await play.stage(id, capability(block));
  const device = await deviceOf(play, id);
  await rename(image, `${image}.aside`);
  expect(await told(play, id)).toEqual(['data-loss ImageMissing']);
  execFileSync('cp', ['--reflink=always', `${image}.aside`, image]);
  await rm(`${image}.aside`);
  expect(await told(play, id)).toEqual([]);
  await detachLoop(device);

  await play.stage(id, capability(block));
  const used = await deviceOf(play, id);
  await rm(image);
  expect(await told(play, id)).toEqual(['data-loss ImageMissing', 'data-loss ImageDeleted']);
  await detachLoop(used);
  expect(await told(play, id)).toEqual(['data-loss ImageMissing']);
});

test('a pool that has shut down, or is not mounted: nothing in it can be reached, and nothing is called lost', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  await play.publish(id, 'target');
  shutDown(play.path('..', 'data/pool'));
  expect(await told(play, id)).toEqual(['inaccessible PoolShutDown']);
  // As NodeGetStorageHealth and CreateVolume have it.
  await expect(play.backend.capacity()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(play.create('more')).rejects.toMatchObject({ code: 'unavailable' });
  // Its pods can be moved on all the same, and then it can be mounted anew.
  await play.unpublish(id, 'target');
  await expect(play.unpublish(id, 'target')).resolves.toBeUndefined();
  await play.unstage(id);
  await play.unstage(id);
  expect(await play.backend.devices(id)).toEqual([]);
  await play.backend[Symbol.asyncDispose]();
  expect(await told(play, id)).toEqual(['inaccessible PoolNotMounted']);

  const options = { dataDir: play.path('..', 'data'), poolBytes: 8n * GiB, node: 'test' };
  await LoopBackend.open({ ...options, overcommitRatio: 10, reservePercent: 1 }, systemClock, new LogLines());
  expect(await told(play, id)).toEqual([]);
  await play.stage(id);
  await play.unstage(id);
});
