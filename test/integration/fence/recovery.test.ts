/** What an agent and its guard left frozen when both died, as the next start finds it. */
import { mkdir } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { newToken } from '../../../src/core/round.ts';
import { FS_TYPES, type FsType } from '../../../src/core/volume.ts';
import { FreezeJournal } from '../../../src/fence/journal.ts';
import { recoverFrozen } from '../../../src/fence/recovery.ts';
import { isHeld } from '../../../src/host/block-device.ts';
import { exists } from '../../../src/host/exists.ts';
import { freezeFilesystem, openForFreeze } from '../../../src/host/freeze.ts';
import { bindMount, mount, unmount } from '../../../src/host/mount.ts';
import { mountAt, mountsOfDevice } from '../../../src/host/mount-table.ts';
import { VOLUME_BYTES } from '../../support/rig.ts';
import { Scratch, thawIfFrozen } from '../../support/scratch.ts';

/** A filesystem that is mounted, frozen, and in the journal. */
async function frozen(scratch: Scratch, fsType: FsType) {
  const mountPoint = await scratch.filesystem('volume', fsType, VOLUME_BYTES[fsType]);
  const { devNumber = '', source: device = '' } = (await mountAt(mountPoint)) ?? {};
  const journal = new FreezeJournal(scratch.path('journal'));
  await journal.write({ token: newToken(), members: [[{ kind: 'filesystem', mountPoint, devNumber }]] });
  await using root = await openForFreeze(mountPoint);
  await freezeFilesystem(root.fd);
  return { mountPoint, devNumber, device, journal };
}

async function expectThawed(
  scratch: Scratch,
  { mountPoint, device }: Awaited<ReturnType<typeof frozen>>,
  fsType: FsType,
) {
  if (!(await mountAt(mountPoint))) await mount({ source: device, target: mountPoint, fsType, options: [] });
  expect(await thawIfFrozen(mountPoint)).toBe(false);
  await scratch.writer(`${mountPoint}/file`).done;
}

test.each(FS_TYPES)('%s that was unmounted since is thawed, and its device is free', async (fsType) => {
  await using scratch = await Scratch.open();
  const volume = await frozen(scratch, fsType);
  const { mountPoint, device, devNumber, journal } = volume;
  await unmount(mountPoint);
  const thawed = await recoverFrozen(journal);
  const held = await isHeld(device);
  await expectThawed(scratch, volume, fsType);
  expect(thawed).toEqual([`device ${devNumber}`]);
  expect(held).toBe(false);
  expect(await journal.list()).toEqual([]);
  expect(await exists(journal.aside)).toBe(false);
});

test('and so it is when the start before has died over it', async () => {
  await using scratch = await Scratch.open();
  const volume = await frozen(scratch, 'ext4');
  const { mountPoint, device, devNumber, journal } = volume;
  await mkdir(journal.aside);
  await mount({ source: device, target: journal.aside, fsType: 'ext4', options: [] });
  await unmount(mountPoint);
  expect(await recoverFrozen(journal)).toEqual([`device ${devNumber}`]);
  expect(await mountsOfDevice(devNumber)).toEqual([]);
  await expectThawed(scratch, volume, 'ext4');
});

test('what is mounted elsewhere by now is thawed there', async () => {
  await using scratch = await Scratch.open();
  const volume = await frozen(scratch, 'ext4');
  await mkdir(scratch.path('elsewhere'));
  await bindMount(volume.mountPoint, scratch.path('elsewhere'), { readOnly: false });
  await unmount(volume.mountPoint);
  expect(await recoverFrozen(volume.journal)).toEqual([scratch.path('elsewhere')]);
  await expectThawed(scratch, volume, 'ext4');
});

test('a device that nobody holds any more is not touched: by now it may be another one', async () => {
  await using scratch = await Scratch.open();
  const { mountPoint, journal, device } = await frozen(scratch, 'ext4');
  await thawIfFrozen(mountPoint);
  await unmount(mountPoint);
  expect(await isHeld(device)).toBe(false);
  expect(await recoverFrozen(journal)).toEqual([]);
  expect(await exists(journal.aside)).toBe(false);
});
