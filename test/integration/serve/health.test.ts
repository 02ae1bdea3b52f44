/** The RPCs of CSI 1.13 say of a broken volume that it is, and of a repaired one nothing. */
import { mkdir } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { shutDown } from '../../support/break.ts';
import { mountCapability } from '../../support/csi.ts';
import { Scratch } from '../../support/scratch.ts';
import { Serve } from '../../support/serve.ts';

test('a filesystem that has shut down, until it is mounted anew', async () => {
  await using scratch = await Scratch.open();
  await using serve = await Serve.start(scratch, { flags: ['--health', 'on'] });
  const { controller, node } = serve.csi;
  const volumeCapability = mountCapability('xfs');
  const ids: string[] = [];
  for (const name of ['broken', 'whole']) {
    const { volume } = await controller.CreateVolume({ name, volumeCapabilities: [volumeCapability] });
    ids.push(volume?.volumeId ?? '');
    await mkdir(scratch.path(name));
    await node.NodeStageVolume({ volumeId: ids.at(-1) ?? '', stagingTargetPath: scratch.path(name), volumeCapability });
  }
  const [volumeId = '', whole = ''] = ids;
  const staged = { volumeId, stagingTargetPath: scratch.path('broken') };

  const expectTold = async (healthStatuses: readonly object[]) => {
    const answer = { volumeHealth: { volumeId, healthStatuses } };
    expect(await node.NodeGetVolumeHealth({ volumeId })).toMatchObject(answer);
    expect(await node.NodeGetVolumeHealth(staged)).toMatchObject(answer);
    expect(await controller.ControllerGetVolumeHealth({ volumeId })).toMatchObject(answer);
    const entries = healthStatuses.length > 0 ? [answer.volumeHealth] : [];
    expect(await controller.ControllerListVolumeHealth({})).toMatchObject({ entries, nextToken: '' });
    expect(await node.NodeGetVolumeHealth({ volumeId: whole })).toEqual({
      volumeHealth: { volumeId: whole, healthStatuses: [] },
    });
  };
  await expectTold([]);
  shutDown(staged.stagingTargetPath);
  await expectTold([
    { status: 'INACCESSIBLE', reason: 'FilesystemShutDown', message: expect.stringMatching(/^the xfs on \/dev\/loop/) },
  ]);
  await node.NodeUnstageVolume(staged);
  await node.NodeStageVolume({ ...staged, volumeCapability });
  await expectTold([]);
  for (const [i, name] of ['broken', 'whole'].entries()) {
    await node.NodeUnstageVolume({ volumeId: ids[i] ?? '', stagingTargetPath: scratch.path(name) });
  }
  await serve.stop();
});
