/** The controller tells of volumes that are broken on other machines, as far as their agents can be asked. */
import { truncate } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { TOPOLOGY_KEY } from '../../src/core/names.ts';
import { Cluster } from '../support/cluster.ts';
import { BLOCK } from '../support/csi.ts';

test('images that were cut off on two of three nodes, and one of these away', async () => {
  await using cluster = await Cluster.start({ flags: ['--health', 'on'] });
  const { controller } = cluster.csi();
  const ids: string[] = [];
  for (const node of cluster.nodes) {
    const { volume } = await controller.CreateVolume({
      name: 'volume',
      volumeCapabilities: [BLOCK],
      capacityRange: { requiredBytes: '16777216' },
      accessibilityRequirements: { requisite: [{ segments: { [TOPOLOGY_KEY]: node } }] },
    });
    ids.push(volume?.volumeId ?? '');
  }
  const imageOf = (i: number) => {
    const [local = '', ...node] = (ids[i] ?? '').split('.');
    return path.join(cluster.running.folder, node.join('.'), 'data/pool/volumes', `${local}.img`);
  };
  const listed = async (maxEntries = 0) => {
    const { entries, nextToken } = await controller.ControllerListVolumeHealth({ maxEntries });
    return { sick: entries.map(({ volumeId }) => volumeId), nextToken };
  };
  expect(await listed()).toEqual({ sick: [], nextToken: '' });
  for (const i of [0, 2]) await truncate(imageOf(i), 4096);
  expect(await listed()).toEqual({ sick: [ids[0], ids[2]], nextToken: '' });
  const { nextToken } = await listed(1);
  expect(await controller.ControllerListVolumeHealth({ startingToken: nextToken })).toMatchObject({
    entries: [{ volumeId: ids[2] }],
    nextToken: '',
  });
  const { volumeHealth } = await controller.ControllerGetVolumeHealth({ volumeId: ids[2] ?? '' });
  expect(volumeHealth?.healthStatuses).toMatchObject([{ status: 'DATA_LOSS', reason: 'ImageTruncated' }]);

  await cluster.kill(cluster.nodes[2] ?? '');
  const away = { code: 'unavailable' };
  await expect(listed()).rejects.toMatchObject(away);
  await expect(controller.ControllerGetVolumeHealth({ volumeId: ids[2] ?? '' })).rejects.toMatchObject(away);
  const { volumeHealth: other } = await controller.ControllerGetVolumeHealth({ volumeId: ids[1] ?? '' });
  expect(other).toEqual({ volumeId: ids[1], healthStatuses: [] });
  await cluster.restart();
  await truncate(imageOf(2), 16_777_216);
  expect(await listed()).toEqual({ sick: [ids[0]], nextToken: '' });
});
