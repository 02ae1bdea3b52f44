import { readdir, stat, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { armFailpoints } from '../../../src/core/failpoint.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { mountAt } from '../../../src/host/mount-table.ts';
import { block, capability, mountAccess, NodePlayground } from './node-playground.ts';

// Nothing can be disarmed, only made harmless.
const points = new Set<string>();

function failAt(point: string): void {
  points.add(point);
  armFailpoints(`${point}=fail:EIO`);
}

function heal(): void {
  for (const point of points) armFailpoints(`${point}=sleep:0`);
}

afterEach(heal);

describe.each(FS_TYPES)('a stage that stops half way: %s', (fsType) => {
  test.each(['stage.attached', 'stage.format', 'stage.formatted', 'stage.mounted'])('at %s', async (point) => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    const asked = capability(mountAccess(fsType));
    failAt(point);
    await expect(play.stage(id, asked)).rejects.toThrow(point);
    heal();
    await play.stage(id, asked);
    expect((await play.backend.getVolume(id))?.content).toEqual({ kind: 'filesystem', fsType, identity: 'own' });
    await writeFile(`${play.staging}/file`, '');
    await play.unstage(id);
    expect(await play.backend.devices(id)).toEqual([]);
  });

  test('or is unstaged instead of staged again', async () => {
    await using play = await NodePlayground.open();
    const { id } = await play.create('volume');
    for (const point of ['stage.attached', 'stage.format', 'stage.formatted', 'stage.mounted']) {
      failAt(point);
      await expect(play.stage(id, capability(mountAccess(fsType)))).rejects.toThrow(point);
      heal();
      await play.unstage(id);
      expect(await play.backend.devices(id)).toEqual([]);
    }
  });
});

test('a volume that was to become a block device is never formatted', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  failAt('stage.raw');
  await expect(play.stage(id, capability(block))).rejects.toThrow();
  heal();
  await expect(play.stage(id)).rejects.toMatchObject({ code: 'failed-precondition' });
  await play.stage(id, capability(block));
  await play.unstage(id);
});

test.each([
  ['a filesystem', capability()],
  ['a block device', capability(block)],
])('publishing and taking away %s that stops half way', async (_, asked) => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id, asked);
  failAt('publish.target');
  await expect(play.publish(id, 'target', { capability: asked })).rejects.toThrow();
  heal();
  await play.publish(id, 'target', { capability: asked });
  failAt('unpublish.unmounted');
  await expect(play.unpublish(id, 'target')).rejects.toThrow();
  heal();
  expect(await mountAt(play.path('target'))).toBeUndefined();
  expect(await stat(play.path('target'))).toBeDefined();
  await play.unpublish(id, 'target');
  expect(await readdir(play.path())).toEqual(['staging']);
  // A target that was made and never mounted goes away as well.
  failAt('publish.target');
  await expect(play.publish(id, 'target', { capability: asked })).rejects.toThrow();
  heal();
  await play.unpublish(id, 'target');
  expect(await readdir(play.path())).toEqual(['staging']);
  await play.unstage(id);
});

test('an unstage that stops between unmount and detach', async () => {
  await using play = await NodePlayground.open();
  const { id } = await play.create('volume');
  await play.stage(id);
  failAt('unstage.unmounted');
  await expect(play.unstage(id)).rejects.toThrow();
  heal();
  expect(await play.backend.devices(id)).toHaveLength(1);
  await play.unstage(id);
  expect(await play.backend.devices(id)).toEqual([]);
  await play.stage(id);
});
