/** A pool of LVM that something is wrong with: what the driver says, and that docs/backends.md helps. Runs where there is device-mapper: see test/vm/lvm.ts. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Bytes, MiB } from '../../../src/core/bytes.ts';
import { parseId, type VolumeId } from '../../../src/core/ids.ts';
import { DeviceMapper, listMapped } from '../../../src/host/device-mapper.ts';
import { checkFilesystem } from '../../../src/host/filesystem.ts';
import { mount, unmount } from '../../../src/host/mount.ts';
import { thinPoolStatus } from '../../../src/host/thin-pool.ts';
import { checkThinPool, lvm, mappedName } from '../../support/lvm.ts';
import { type MountedVolume, NEVER, Rig } from '../../support/rig.ts';
import { Scratch } from '../../support/scratch.ts';
import { GROUP } from '../../vm/ground.ts';

const POOL_BYTES: Bytes = 256n * MiB;
const PIECE = Number(4n * MiB);

let scratch: Scratch;
let pool: string;
let pools = 0;

beforeEach(async () => {
  scratch = await Scratch.open();
  pool = `sick${++pools}`;
});

afterEach(async () => {
  checkThinPool(dataDir(), GROUP, pool);
  lvm(dataDir(), 'lvremove', '-y', '-ff', `${GROUP}/${pool}`);
  await scratch[Symbol.asyncDispose]();
});

test('a pool that is in use, and of which the kernel counts other changes than LVM, is not served', async () => {
  await inRig(async (rig) => void (await rig.rawVolume('volume')));
  await using mapper = await DeviceMapper.open();
  const device = mappedName(GROUP, pool, 'tpool');
  const { transactionId } = await thinPoolStatus(mapper, device);
  await mapper.message(device, `set_transaction_id ${transactionId} ${transactionId + 7n}`);
  await expect(openRig()).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining(`LVM has transaction ${transactionId} of the thin pool ${GROUP}/${pool}`),
  });
  // As docs/backends.md says.
  await mapper.message(device, `set_transaction_id ${transactionId + 7n} ${transactionId}`);
  await expectServed();
});

test('nor is one that is not active; what the document says mends it', async () => {
  await inRig(async (rig) => void (await rig.rawVolume('volume')));
  await using mapper = await DeviceMapper.open();
  const device = mappedName(GROUP, pool, 'tpool');
  const { transactionId } = await thinPoolStatus(mapper, device);
  const there = transactionId + 7n;
  await mapper.message(device, `set_transaction_id ${transactionId} ${there}`);
  for (const name of lvm(dataDir(), 'lvs', '-o', 'lv_name', GROUP).split(/\s+/)) {
    if (name.startsWith('vol-')) lvm(dataDir(), 'lvchange', '-an', `${GROUP}/${name}`);
  }
  lvm(dataDir(), 'lvchange', '-an', `${GROUP}/${pool}`);
  await expect(openRig()).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining(`the kernel has ${there}`),
  });
  await editMetadata((text) => text.replaceAll(`transaction_id = ${transactionId}\n`, `transaction_id = ${there}\n`));
  await expectServed();
});

test('what a command of LVM that was cut short left to do does not keep the next one from the kernel', async () => {
  await inRig(async (rig) => void (await rig.rawVolume('volume')));
  // A creation that was never committed; and a deletion that the kernel has done already, and LVM does not know that.
  const name = `vol-${'a'.repeat(26)}`;
  const tags = ['--addtag', 'cofferdam.state=pending'];
  lvm(dataDir(), 'lvcreate', '-y', '-an', '-V', '16m', '--thinpool', `${GROUP}/${pool}`, '-n', name, ...tags);
  const thinId = lvm(dataDir(), 'lvs', '-o', 'thin_id', `${GROUP}/${name}`);
  const poolSegment = /(type = "thin-pool"[^}]*?)(\n\s*)(transaction_id = \d+)/;
  await editMetadata((text) => text.replace(poolSegment, '$1$2$3$2message1 {$2delete = 4711$2}'));
  await inRig(async (rig) => expect((await rig.backend.listVolumes({})).items).toHaveLength(1));
  // Its id is free: what it held will be in no other volume.
  await using mapper = await DeviceMapper.open();
  const device = mappedName(GROUP, pool, 'tpool');
  await mapper.message(device, `create_thin ${thinId}`);
  await mapper.message(device, `delete ${thinId}`);
  await expectServed();
});

test('a btrfs, which mountinfo knows by another name than the kernel, is fenced like any other', async () => {
  await using rig = await openRig();
  const { id, mountPoint } = await rig.volume(scratch, 'btrfs', 'btrfs', 256n * MiB);
  expect(await rig.backend.fenceTargets([id])).toMatchObject([
    { kind: 'fenced', layers: [{ kind: 'filesystem', mountPoint }, { kind: 'device' }] },
  ]);
  const { evidence } = await rig.group('group', [id]);
  expect(evidence).toMatchObject([{ quiescence: 'frozen' }]);
  await unmount(mountPoint);
  await rig.backend.detach(id);
});

test('a volume that somebody has open where it can not be seen is stopped as well', async () => {
  await using rig = await openRig();
  const { id, mountPoint } = await rig.volume(scratch, 'hidden', 'ext4', 64n * MiB);
  await unmount(mountPoint);
  const [device] = await rig.backend.devices(id);
  {
    await using _user = await open(device?.path ?? '');
    expect(await rig.backend.fenceTargets([id])).toMatchObject([
      { kind: 'fenced', layers: [{ kind: 'device', lockFs: true }] },
    ]);
  }
  expect(await rig.backend.fenceTargets([id])).toEqual([{ kind: 'idle' }]);
  await rig.backend.detach(id);
});

test('what was changed and could not be recorded is found as it is by the next change', async () => {
  await using rig = await openRig();
  const { id } = await rig.rawVolume('raw');
  const volume = await rig.backend.getVolume(id);
  const name = `${GROUP}/${parseId(id)?.local}`;
  const largerBytes = 2n * (volume?.capacityBytes ?? 0n);
  // Grown, and not recorded.
  lvm(dataDir(), 'lvextend', '-y', '-L', `${largerBytes}b`, name);
  const expanded = await rig.backend.expandVolume(id, (volume?.capacityBytes ?? 0n) + 4n * MiB, NEVER);
  expect(expanded.capacityBytes).toBe(largerBytes);
  // Recorded, and not known to be.
  const [record = ''] = tagsOf(name).filter((tag) => tag.startsWith('cofferdam.record.'));
  lvm(dataDir(), 'lvchange', '-y', '--deltag', record, '--addtag', record.replace('record.0', 'record.1'), name);
  await rig.backend.setContent(id, { kind: 'raw' });
  expect(tagsOf(name).filter((tag) => tag.startsWith('cofferdam.record.'))).toHaveLength(1);
  await rig.backend.detach(id);
});

test('what a killed command of LVM has left suspended is resumed, at once or at the next start', async () => {
  await using mapper = await DeviceMapper.open();
  const suspendAll = async ({ id }: MountedVolume) => {
    for (const name of [mappedName(GROUP, parseId(id)?.local ?? ''), mappedName(GROUP, pool, 'tpool')]) {
      await mapper.suspend(name, { lockFs: false });
    }
  };
  const expectRunning = async ({ mountPoint }: MountedVolume) => {
    expect((await listMapped()).filter(({ suspended }) => suspended)).toEqual([]);
    await writeFile(`${mountPoint}/file`, 'written', { flush: true });
  };
  let volume: MountedVolume;
  {
    await using rig = await openRig();
    volume = await rig.volume(scratch, 'mounted', 'ext4', 64n * MiB);
    const shell = await pidOfShell();
    process.kill(shell, 'SIGSTOP');
    const expanding = rig.backend.expandVolume(volume.id, 128n * MiB, NEVER);
    await suspendAll(volume);
    process.kill(shell, 'SIGKILL');
    await expect(expanding).rejects.toThrow('the shell of LVM ended');
    await expectRunning(volume);
    expect((await rig.backend.expandVolume(volume.id, 128n * MiB, NEVER)).capacityBytes).toBe(128n * MiB);
  }
  // And something left to do in the group, which the next start has LVM do.
  lvm(dataDir(), 'lvcreate', '-y', '-an', '--type', 'thin-pool', '-L', '16m', '-n', 'other', GROUP);
  await editMetadata((text) => text.replace(/other \{.*?transaction_id = \d+/s, '$&\nmessage1 {\ndelete = 4711\n}'));
  await suspendAll(volume);
  await inRig(async (rig) => {
    await expectRunning(volume);
    await unmount(volume.mountPoint);
    await rig.backend.detach(volume.id);
  });
  lvm(dataDir(), 'lvremove', '-y', '-ff', `${GROUP}/other`);
});

test('a pool that is full fails writes and promises nothing; more space, and a check, and all goes on', async () => {
  await using rig = await openRig();
  const full = await rig.volume(scratch, 'full', 'ext4', 512n * MiB);
  const other = await rig.volume(scratch, 'other', 'ext4', 64n * MiB);
  await writeFile(`${other.mountPoint}/kept`, 'kept', { flush: true });
  const pieces = await fill(`${full.mountPoint}/file`);
  expect(pieces.length).toBeGreaterThan(10);
  expect(await unhealthy(rig, other.id)).toEqual(['degraded PoolFull']);
  expect(await unhealthy(rig, full.id)).toContain('degraded PoolFull');
  await expect(rig.create('more', 16n * MiB)).rejects.toMatchObject({ code: 'resource-exhausted' });
  await expect(rig.group('group', [other.id])).rejects.toMatchObject({ code: 'resource-exhausted' });
  expect((await rig.backend.listSnapshots({}, {})).items).toEqual([]);
  // What was written stays, and overwriting it in its place needs no space: not for the data, nor for a journal.
  {
    await using kept = await open(`${other.mountPoint}/kept`, 'r+');
    await kept.write('over');
    await kept.datasync();
  }

  lvm(dataDir(), 'lvextend', '-L', '+512m', `${GROUP}/${pool}`);
  await unmount(full.mountPoint);
  execFileSync('e2fsck', ['-p', '-f', full.device.path], { stdio: 'pipe' });
  expect(await checkFilesystem(full.device.path, 'ext4')).toMatchObject({ clean: true });
  await mount({ source: full.device.path, target: full.mountPoint, fsType: 'ext4', options: [] });
  {
    await using file = await open(`${full.mountPoint}/file`, 'r');
    for (const piece of pieces) {
      expect((await file.read(Buffer.alloc(PIECE), 0, PIECE)).buffer.equals(piece)).toBe(true);
    }
  }
  for (const { id } of [full, other]) expect(await unhealthy(rig, id)).toEqual([]);
  await writeFile(`${full.mountPoint}/more`, randomBytes(PIECE), { flush: true });
  expect(await readFile(`${other.mountPoint}/kept`, 'utf8')).toBe('over');
  expect((await rig.group('group', [full.id, other.id])).snapshots).toHaveLength(2);
  const { metadataUsedShare = 1 } = await rig.backend.capacity(new AbortController().signal);
  expect(metadataUsedShare).toBeGreaterThan(0);
  expect(metadataUsedShare).toBeLessThan(0.5);
  await rig.backend.deleteGroup(rig.groupRequest('group', [full.id, other.id]).group?.id ?? '');
  for (const { id, mountPoint } of [full, other]) {
    await unmount(mountPoint);
    await rig.backend.detach(id);
  }
});

/** What a controller would be told of the volume. */
async function unhealthy(rig: Rig, volumeId: VolumeId): Promise<readonly string[]> {
  const { items } = await rig.agent.listUnhealthy({ volumeId }, {}, NEVER);
  return items.flatMap(({ conditions }) => conditions.map(({ status, reason }) => `${status} ${reason}`));
}

/** Until a write fails. @returns what was acknowledged as durable */
async function fill(path: string): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = [];
  await using file = await open(path, 'w');
  for (;;) {
    const piece = randomBytes(PIECE);
    try {
      await file.write(piece);
      await file.sync();
    } catch (error) {
      expect(error).toMatchObject({ code: 'EIO' });
      return pieces;
    }
    pieces.push(piece);
  }
}

/** Of LVM, as no command of it would. */
async function editMetadata(edit: (text: string) => string): Promise<void> {
  const file = scratch.path('group.vg');
  lvm(dataDir(), 'vgcfgbackup', '-f', file, GROUP);
  const text = await readFile(file, 'utf8');
  expect(edit(text)).not.toBe(text);
  await writeFile(file, edit(text));
  lvm(dataDir(), 'vgcfgrestore', '-y', '--force', '-f', file, GROUP);
}

/** What was there is there, and something new can be made. */
async function expectServed(): Promise<void> {
  await inRig(async (rig) => {
    expect(await rig.backend.getVolume(rig.volumeId('volume'))).toBeDefined();
    const { id } = await rig.rawVolume('new');
    expect((await rig.group('group', [id])).snapshots).toHaveLength(1);
    await rig.backend.deleteGroup(rig.groupRequest('group', [id]).group?.id ?? '');
    for (const name of ['volume', 'new']) await rig.backend.detach(rig.volumeId(name));
    await rig.backend.deleteVolume(id);
  });
}

async function inRig(work: (rig: Rig) => Promise<void>): Promise<void> {
  await using rig = await openRig();
  await work(rig);
}

function openRig(): Promise<Rig> {
  return Rig.open(dataDir(), {
    ...{ backend: 'lvm-thin', volumeGroup: GROUP, thinPool: pool },
    ...{ poolSize: POOL_BYTES, poolReserve: 0 },
  });
}

function dataDir(): string {
  return scratch.path('data');
}

/** Of LVM's shell that the driver in this process has. */
async function pidOfShell(): Promise<number> {
  const children = (await readFile(`/proc/self/task/${process.pid}/children`, 'utf8')).trim().split(' ');
  const names = await Promise.all(children.map((pid) => readFile(`/proc/${pid}/comm`, 'utf8')));
  return Number(children[names.indexOf('lvm\n')]);
}

function tagsOf(name: string): readonly string[] {
  return lvm(dataDir(), 'lvs', '-o', 'lv_tags', name).split(',');
}
