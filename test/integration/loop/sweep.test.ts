/** What a start removes, and what it must not touch. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { groupId, homeOf, memberSnapshotId, nodeOf, volumeId } from '../../../src/core/ids.ts';
import { newToken, type RoundPlan } from '../../../src/core/round.ts';
import { makeFilesystem } from '../../../src/host/filesystem.ts';
import { attachLoop } from '../../../src/host/loop.ts';
import { unmount } from '../../../src/host/mount.ts';
import { createSparseFile } from '../../../src/host/sparse-file.ts';
import { NEVER, NODE } from '../../support/rig.ts';
import { eventually, Scratch } from '../../support/scratch.ts';
import { create, everythingIn, idOf, isThere, openPool } from './playground.ts';

const HASH = 'abcdefghijklmnopqrstuvwxyz';

function planOf(name: string, ids: readonly string[], elsewhere: readonly string[] = []): RoundPlan {
  const volumeIds = [...ids, ...elsewhere];
  const nodes = volumeIds.flatMap((id) => nodeOf('volume', id) ?? []);
  return {
    token: newToken(),
    name,
    group: { id: groupId(homeOf(nodes), name), name, volumeIds, parameters: {} },
    members: ids.map((id) => ({ volumeId: id, snapshotId: memberSnapshotId(NODE, name, id) })),
    leaseMs: 1000,
    fenced: true,
  };
}

async function opened() {
  const scratch = await Scratch.open();
  const pool = await openPool(scratch);
  const inPool = (...names: string[]) => path.join(pool.dataDir, 'pool', ...names);
  return { scratch, inPool, ...pool };
}

describe('a start removes', () => {
  test('an image without its record, and detaches it', async () => {
    const { scratch, backend, inPool } = await opened();
    await using _scratch = scratch;
    const kept = await create(backend, 'kept');
    await create(backend, 'lost');
    await backend.attach(idOf('lost'), { readOnly: false });
    await rm(inPool('volumes', `${idOf('lost').split('.')[0]}.json`));
    await createSparseFile(inPool('volumes', `vol-${HASH}.img`), MiB);
    const { backend: later, log } = await openPool(scratch);
    expect(await later.listVolumes({})).toEqual({ items: [kept] });
    const ofKept = kept.id.split('.')[0];
    expect(await everythingIn(inPool('volumes'))).toEqual([`${ofKept}.img`, `${ofKept}.json`]);
    expect(log.messages()).toContain('removing an image that was never committed');
    await eventually('the trash is emptied', async () => (await everythingIn(inPool('trash'))).length === 0);
    // Only the pool's own.
    expect(await scratch.loops()).toHaveLength(1);
  });

  test('but not one that is mounted: somebody may still need it', async () => {
    const { scratch, backend, inPool } = await opened();
    await using _scratch = scratch;
    await create(backend, 'mounted');
    const device = await backend.attach(idOf('mounted'), { readOnly: false });
    await makeFilesystem(device.path, 'ext4');
    const mountPoint = await scratch.mount('mounted', device.path, 'ext4');
    await rm(inPool('volumes', `${idOf('mounted').split('.')[0]}.json`));
    const { backend: later, log } = await openPool(scratch);
    expect(log.messages()).toContain('an image without a record is mounted');
    await writeFile(`${mountPoint}/file`, 'works', { flush: true });
    await create(later, 'also works');
    await unmount(mountPoint);
    await openPool(scratch);
    expect(await scratch.loops()).toHaveLength(1);
  });

  test.each(['prepare', 'cut', 'seal'])('a cut that came as far as %s', async (step) => {
    const { scratch, backend, inPool } = await opened();
    await using _scratch = scratch;
    const { id } = await create(backend, 'volume');
    const plan = planOf('group', [id]);
    await backend.prepareCut(plan, NEVER);
    if (step !== 'prepare') await backend.cutMember(plan.token, id);
    if (step === 'seal') await backend.sealCut(plan.token, []);
    expect(await everythingIn(inPool('cuts'))).toContain(plan.token);
    const { backend: later } = await openPool(scratch);
    // A process that had really died would hold nothing open any more.
    await backend.abortCut(plan.token);
    expect(await everythingIn(inPool('cuts'))).toEqual([]);
    expect(await later.listSnapshots({}, {})).toEqual({ items: [] });
    await eventually('the trash is emptied', async () => (await everythingIn(inPool('trash'))).length === 0);
  });

  test('a sealed cut whose record is damaged', async () => {
    const { scratch, inPool } = await opened();
    await using _scratch = scratch;
    await mkdir(inPool('cuts', '0123456789abcdef'));
    await writeFile(inPool('cuts', '0123456789abcdef', 'sealed.json'), '{"format":1,"kind":"cut","to');
    await openPool(scratch);
    expect(await everythingIn(inPool('cuts'))).toEqual([]);
  });

  test('what is in the trash, and records that were never finished', async () => {
    const { scratch, inPool } = await opened();
    await using _scratch = scratch;
    await writeFile(inPool('trash', `vol-${HASH}.img-0123456789ab`), 'old');
    await mkdir(inPool('trash', '0123456789abcdef-0123456789ab', 'deep'), { recursive: true });
    await writeFile(inPool('trash', '0123456789abcdef-0123456789ab', 'deep', 'file'), 'old');
    await writeFile(inPool('volumes', `.vol-${HASH}.json.0123456789ab.tmp`), '{"format":1');
    await openPool(scratch);
    await eventually('the trash is emptied', async () => (await everythingIn(inPool('trash'))).length === 0);
    expect(await everythingIn(inPool('volumes'))).toEqual([]);
  });

  test('a loop device whose image is gone', async () => {
    const { scratch, backend, inPool } = await opened();
    await using _scratch = scratch;
    await create(backend, 'volume');
    await backend.attach(idOf('volume'), { readOnly: false });
    await backend.attach(idOf('volume'), { readOnly: true });
    for (const kind of ['img', 'json']) await rm(inPool('volumes', `${idOf('volume').split('.')[0]}.${kind}`));
    expect(await scratch.loops()).toHaveLength(3);
    const { log } = await openPool(scratch);
    expect(log.messages()).toContain('detaching a loop device whose image is gone');
    expect(await scratch.loops()).toHaveLength(1);
  });
});

describe('a start does not touch', () => {
  test('a sealed cut that waits for its home to decide', async () => {
    const { scratch, backend, inPool } = await opened();
    await using _scratch = scratch;
    const { id } = await create(backend, 'volume');
    const plan = planOf('group', [id], [volumeId('node-0', 'elsewhere')]);
    await backend.prepareCut(plan, NEVER);
    await backend.cutMember(plan.token, id);
    await backend.sealCut(plan.token, []);
    const before = await everythingIn(inPool('cuts'));
    const { backend: later } = await openPool(scratch);
    expect(await everythingIn(inPool('cuts'))).toEqual(before);
    expect((await later.commitCut(plan.token)).snapshots).toHaveLength(1);
  });

  test('files that it does not know, wherever they lie', async () => {
    const { scratch, inPool } = await opened();
    await using _scratch = scratch;
    const strangers = [
      'readme.txt',
      'lost+found.img',
      'volumes/backup.img',
      'volumes/vol-short.img',
      `volumes/vol-${HASH}.img.bak`,
      `volumes/vol-${HASH.toUpperCase()}.img`,
      `volumes/VOL-${HASH}.img`,
      `volumes/.vol-${HASH}.json.tmp`,
      `volumes/.hidden.json.0123456789ab.tmp`,
      `volumes/vol-${HASH}.json.old`,
      'cuts/notes.txt',
      'cuts/0123456789ABCDEF/file',
      'cuts/0123456789abcde/file',
      'other/folder/file',
    ];
    for (const name of strangers) {
      await mkdir(path.dirname(inPool(name)), { recursive: true });
      await writeFile(inPool(name), name);
    }
    const before = await everythingIn(inPool());
    const { backend } = await openPool(scratch);
    expect(await everythingIn(inPool())).toEqual(before);
    for (const name of strangers) expect(await readFile(inPool(name), 'utf8')).toBe(name);
    expect(await backend.listVolumes({})).toEqual({ items: [] });
  });

  test("other people's loop devices, attached to what is gone", async () => {
    const { scratch, inPool } = await opened();
    await using _scratch = scratch;
    for (const file of [scratch.path('theirs.img'), inPool('theirs.img')]) {
      await createSparseFile(file, MiB);
      await attachLoop({ path: file, readOnly: false, blockSize: 4096, directIo: false });
      await rm(file);
    }
    const before = await scratch.loops();
    expect(before).toHaveLength(3);
    await openPool(scratch);
    expect((await scratch.loops()).map((loop) => loop.path)).toEqual(before.map((loop) => loop.path));
  });
});

const VOLUME = { format: 1, kind: 'volume', id: `vol-${HASH}.node-a`, name: 'n', node: 'node-a', createdAt: 1 };
const WHOLE = { ...VOLUME, capacityBytes: '16777216', content: { kind: 'blank' }, parameters: {} };

describe('a damaged record is an error that names the file, and nothing is lost by it', () => {
  test.each([
    ['nothing', ''],
    ['zeros', '\0\0\0\0'],
    ['its first half', JSON.stringify(WHOLE).slice(0, 60)],
    ['null', 'null'],
    ['a list', '[]'],
    ['a later format', JSON.stringify({ ...WHOLE, format: 2 })],
    ['another kind', JSON.stringify({ ...WHOLE, kind: 'cut' })],
    ['a size that is a number', JSON.stringify({ ...WHOLE, capacityBytes: 16_777_216 })],
    ['no size', JSON.stringify({ ...WHOLE, capacityBytes: undefined })],
    ['no id', JSON.stringify({ ...WHOLE, id: undefined })],
    ['the id of another', JSON.stringify({ ...WHOLE, id: `vol-${'b'.repeat(26)}.node-a` })],
    ['no content', JSON.stringify({ ...WHOLE, content: undefined })],
    ['no parameters', JSON.stringify({ ...WHOLE, parameters: undefined })],
  ])('a volume with %s', async (_, text) => {
    const { scratch, inPool } = await opened();
    await using _scratch = scratch;
    const record = inPool('volumes', `vol-${HASH}.json`);
    await createSparseFile(inPool('volumes', `vol-${HASH}.img`), 16n * MiB);
    await writeFile(record, text);
    await expect(openPool(scratch)).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringContaining(record),
    });
    expect(await readFile(record, 'utf8')).toBe(text);
    expect(await isThere(inPool('volumes', `vol-${HASH}.img`))).toBe(true);
    // Mended, everything is there.
    await writeFile(record, JSON.stringify(WHOLE));
    const { backend } = await openPool(scratch);
    expect(await backend.getVolume(VOLUME.id)).toMatchObject({ capacityBytes: 16n * MiB });
  });

  test.each([
    ['nothing', () => ''],
    ['its first half', (text: string) => text.slice(0, text.length / 2)],
    ['no snapshots', (text: string) => text.replace('"snapshots"', '"others"')],
    ['a size that is no number', (text: string) => text.replace(/"sizeBytes":"\d+"/, '"sizeBytes":"many"')],
    ['a snapshot of nothing', (text: string) => text.replace(/"sourceVolumeId":"[^"]+"/, '"sourceVolumeId":""')],
    ['the token of another', (text: string) => text.replace(/"token":"[^"]+"/, '"token":"0123456789abcdef"')],
  ])('a committed cut with %s', async (_, damage) => {
    const { scratch, backend, inPool } = await opened();
    await using _scratch = scratch;
    const { id } = await create(backend, 'volume');
    const plan = planOf('group', [id]);
    await backend.prepareCut(plan, NEVER);
    await backend.cutMember(plan.token, id);
    await backend.sealCut(plan.token, []);
    const { snapshots } = await backend.commitCut(plan.token);
    const record = inPool('cuts', plan.token, 'committed.json');
    const text = await readFile(record, 'utf8');
    await writeFile(record, damage(text));
    await expect(openPool(scratch)).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringContaining(record),
    });
    await writeFile(record, text);
    const { backend: mended } = await openPool(scratch);
    expect(await mended.getSnapshot(snapshots[0]?.id ?? '')).toEqual(snapshots[0]);
    expect(await mended.listSnapshots({}, {})).toEqual({ items: snapshots });
  });
});
