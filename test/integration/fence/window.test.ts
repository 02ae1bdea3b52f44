import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { groupId, volumeId } from '../../../src/core/ids.ts';
import type { MemberEvidence } from '../../../src/core/round.ts';
import type { CutRecord } from '../../../src/core/snapshot.ts';
import { FS_TYPES } from '../../../src/core/volume.ts';
import { checkFilesystem } from '../../../src/host/filesystem.ts';
import { Rcu } from '../../support/rcu.ts';
import { NEVER, Rig } from '../../support/rig.ts';
import { Scratch, thawIfFrozen } from '../../support/scratch.ts';

/** Enough for a writer that nothing holds to be done, were it let. */
const A_WHILE_MS = 250;

/** Makes a volume of a snapshot, mounts it read-only, and returns where. */
async function restore(rig: Rig, scratch: Scratch, snapshotId: string, name: string): Promise<string> {
  const snapshot = await rig.backend.getSnapshot(snapshotId);
  if (snapshot?.content.kind !== 'filesystem') throw new Error('no filesystem');
  const { fsType } = snapshot.content;
  const volume = await rig.create(name, snapshot.sizeBytes, { kind: 'snapshot', id: snapshotId });
  const device = await rig.backend.attach(volume.id, { readOnly: false });
  // Before any mount: what a mount would replay counts as unclean. XFS always has something, by design.
  if (fsType !== 'xfs') expect(await checkFilesystem(device.path, fsType)).toMatchObject({ clean: true });
  return await scratch.mount(name, device.path, fsType, fsType === 'xfs' ? ['nouuid'] : []);
}

function expectPlausible(evidence: readonly MemberEvidence[], leaseMs: number): void {
  for (const member of evidence) {
    expect(member.frozenAtMs).toBeGreaterThanOrEqual(0);
    expect(member.cutAtMs).toBeGreaterThanOrEqual(member.frozenAtMs);
    expect(member.thawedAtMs).toBeGreaterThanOrEqual(member.cutAtMs);
    expect(member.thawedAtMs).toBeLessThanOrEqual(leaseMs);
    expect(member.leaseLeftMs).toBeGreaterThan(0);
    expect(member.leaseLeftMs).toBeLessThanOrEqual(leaseMs);
  }
  // Not one was cut before the last was frozen, nor thawed before the last was cut: one instant for all.
  const frozen = evidence.filter(({ quiescence }) => quiescence === 'frozen');
  const lastFrozen = Math.max(...frozen.map(({ frozenAtMs }) => frozenAtMs));
  const cuts = frozen.map(({ cutAtMs }) => cutAtMs);
  if (frozen.length > 0) expect(Math.min(...cuts)).toBeGreaterThanOrEqual(lastFrozen);
  for (const { thawedAtMs } of frozen) expect(thawedAtMs).toBeGreaterThanOrEqual(Math.max(...cuts));
}

function quiescenceOf({ evidence }: CutRecord): readonly string[] {
  return evidence.map(({ quiescence }) => quiescence);
}

describe.each(FS_TYPES)('a round on %s', (fsType) => {
  test('blocks writers from freeze to thaw, and has all that was written before, synced or not', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const one = await rig.volume(scratch, 'one', fsType);
    const two = await rig.volume(scratch, 'two', fsType);
    for (const { mountPoint } of [one, two]) await writeFile(`${mountPoint}/before`, 'written, and not synced');

    const plan = rig.plan('group', [one.id, two.id]);
    expect(await rig.agent.prepare(plan, NEVER)).toEqual({ quiescence: ['frozen', 'frozen'] });
    // Nothing is frozen by a preparation.
    await scratch.writer(`${one.mountPoint}/prepared`).done;
    expect(await rig.journal()).toEqual([`${plan.token}.json`]);
    expect(rig.frozen).toBe(0);

    const { leaseLeftMs } = await rig.agent.freeze(plan.token, NEVER);
    expect(leaseLeftMs).toBeGreaterThan(0);
    expect(rig.frozen).toBe(2);
    const writers = [one, two].map(({ mountPoint }) => scratch.writer(`${mountPoint}/during`));
    await sleep(A_WHILE_MS);
    expect(writers.map(({ ended }) => ended)).toEqual([false, false]);
    expect(await readFile(`${one.mountPoint}/before`, 'utf8')).toContain('not synced');

    const { evidence } = await rig.agent.cut(plan.token, NEVER);
    await Promise.all(writers.map(({ done }) => done));
    expectPlausible(evidence, rig.leaseMs);
    expect(await rig.backend.listSnapshots({}, {})).toEqual({ items: [] });
    expect(rig.frozen).toBe(0);
    expect(await rig.journal()).toEqual([]);

    const record = await rig.agent.commit(plan.token, NEVER);
    expect(quiescenceOf(record)).toEqual(['frozen', 'frozen']);
    for (const [i, snapshot] of record.snapshots.entries()) {
      const restored = await restore(rig, scratch, snapshot.id, `restored-${i}`);
      expect(await readFile(`${restored}/before`, 'utf8')).toBe('written, and not synced');
      await expect(readFile(`${restored}/during`)).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });

  test('takes a writer in full swing along', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volume = await rig.volume(scratch, 'volume', fsType);
    const stop = new AbortController();
    const chunk = Buffer.alloc(Number(MiB), 7);
    const writing = (async () => {
      for (let i = 0; !stop.signal.aborted; i++) await writeFile(`${volume.mountPoint}/file-${i % 6}`, chunk);
    })();
    for (let i = 0; i < 5; i++) expectPlausible((await rig.group(`group-${i}`, [volume.id])).evidence, rig.leaseMs);
    stop.abort();
    await writing;
    const { items } = await rig.backend.listSnapshots({ sourceVolumeId: volume.id }, {});
    expect(items).toHaveLength(5);
    for (const [i, { id }] of items.entries()) await restore(rig, scratch, id, `restored-${i}`);
  });
});

test('one group of every filesystem at once', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const volumes = [];
  for (const fsType of FS_TYPES) volumes.push(await rig.volume(scratch, fsType, fsType));
  const record = await rig.group(
    'group',
    volumes.map(({ id }) => id),
  );
  expect(quiescenceOf(record)).toEqual(['frozen', 'frozen', 'frozen']);
  expectPlausible(record.evidence, rig.leaseMs);
});

test('a group of 16 is quiet at one instant, and seen whole', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const volumes = [];
  for (let i = 0; i < 16; i++) volumes.push(await rig.volume(scratch, `volume-${i}`, 'ext4'));
  const ids = volumes.map(({ id }) => id);
  const record = await rig.group('group', ids);
  expect(record.evidence.map(({ volumeId }) => volumeId)).toEqual(ids);
  expect(new Set(quiescenceOf(record))).toEqual(new Set(['frozen']));
  expectPlausible(record.evidence, rig.leaseMs);
  expect((await rig.backend.listSnapshots({}, {})).items).toHaveLength(16);
  for (const { mountPoint } of volumes) expect(await thawIfFrozen(mountPoint)).toBe(false);
  // The proof is kept with the group.
  const { evidence, group } = (await rig.backend.getGroup(record.group?.id ?? '')) ?? {};
  expect(evidence).toEqual(record.evidence);
  expect(group?.volumeIds).toHaveLength(16);
});

test('two rounds at once, on volumes of their own', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const ids = [];
  for (const name of ['a', 'b', 'c', 'd']) ids.push((await rig.volume(scratch, name, 'ext4')).id);
  for (let i = 0; i < 5; i++) {
    const records = await Promise.all([rig.group(`left-${i}`, ids.slice(0, 2)), rig.group(`right-${i}`, ids.slice(2))]);
    for (const record of records) {
      expect(quiescenceOf(record)).toEqual(['frozen', 'frozen']);
      expectPlausible(record.evidence, rig.leaseMs);
    }
  }
  expect((await rig.backend.listSnapshots({}, {})).items).toHaveLength(20);
  expect(rig.frozen).toBe(0);
});

test('two rounds at once on the same volume: the one that comes second is refused, and the first one stands', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const shared = await rig.volume(scratch, 'shared', 'ext4');
  const other = await rig.volume(scratch, 'other', 'ext4');
  const first = rig.plan('first', [shared.id]);
  const second = rig.plan('second', [other.id, shared.id]);
  await rig.agent.prepare(first, NEVER);
  await rig.agent.freeze(first.token, NEVER);
  const busy = { code: 'aborted', message: expect.stringContaining(`round ${first.token} is still working on vol-`) };
  await expect(rig.agent.prepare(second, NEVER)).rejects.toMatchObject(busy);
  await rig.agent.abort(second.token, NEVER);
  const writer = scratch.writer(`${shared.mountPoint}/file`);
  await scratch.writer(`${other.mountPoint}/file`).done;
  expect(writer.ended).toBe(false);
  await rig.agent.cut(first.token, NEVER);
  await rig.agent.commit(first.token, NEVER);
  await writer.done;
  expect((await rig.backend.listSnapshots({}, {})).items.map(({ name }) => name)).toEqual(['first']);
});

test('an agent that stops keeps what is sealed for another node to decide; while it waits, its name is taken', async () => {
  await using scratch = await Scratch.open();
  const elsewhere = volumeId('a-home', 'volume');
  let token = '';
  {
    await using rig = await Rig.open(scratch.path('data'));
    const { id } = await rig.create('here', 16n * MiB);
    const { group, ...plan } = rig.plan('group', [id]);
    const spanning = { ...plan, group: { ...group, id: groupId('a-home', 'group'), name: 'group', parameters: {} } };
    const sealed = { ...spanning, group: { ...spanning.group, volumeIds: [elsewhere, id] } };
    token = sealed.token;
    await rig.agent.prepare(sealed, NEVER);
    await rig.agent.freeze(token, NEVER);
    await rig.agent.cut(token, NEVER);
    await expect(rig.agent.prepare(rig.plan('group', [id]), NEVER)).rejects.toMatchObject({ code: 'aborted' });
  }
  await using later = await Rig.open(scratch.path('data'));
  expect((await later.agent.sealedParts(NEVER)).map((part) => part.token)).toEqual([token]);
  expect((await later.agent.commit(token, NEVER)).snapshots).toHaveLength(1);
});

test('volumes that nobody can write to need no freeze, and a single snapshot goes the same way', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const idle = await rig.create('idle', 16n * MiB);
  const attached = await rig.create('attached', 16n * MiB);
  await rig.backend.attach(attached.id, { readOnly: false });
  const readOnly = await rig.create('read-only', 16n * MiB);
  await rig.backend.setContent(readOnly.id, { kind: 'raw' });
  await rig.backend.attach(readOnly.id, { readOnly: true });
  const record = await rig.group('group', [idle.id, attached.id, readOnly.id]);
  expect(quiescenceOf(record)).toEqual(['idle', 'idle', 'idle']);
  expectPlausible(record.evidence, rig.leaseMs);
  expect(await rig.journal()).toEqual([]);
  const mounted = await rig.volume(scratch, 'mounted', 'ext4');
  const [single] = await rig.coordinator().run(rig.snapshotRequest('single', mounted.id), NEVER);
  expect(single?.group).toBeUndefined();
  expect(quiescenceOf(single ?? record)).toEqual(['frozen']);
});

test('a clone of a volume in use is taken from a clean filesystem', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const source = await rig.volume(scratch, 'source', 'ext4');
  await writeFile(`${source.mountPoint}/file`, 'not synced');
  const clone = await rig.create('clone', 32n * MiB, { kind: 'volume', id: source.id });
  expect(clone.content).toEqual({ kind: 'filesystem', fsType: 'ext4', identity: 'copied' });
  expect([rig.mostFrozen, rig.frozen]).toEqual([1, 0]);
  await scratch.writer(`${source.mountPoint}/after`).done;
  expect(await rig.journal()).toEqual([]);
  const device = await rig.backend.attach(clone.id, { readOnly: false });
  expect(await checkFilesystem(device.path, 'ext4')).toMatchObject({ clean: true });
  const mountPoint = await scratch.mount('clone', device.path, 'ext4');
  expect(await readFile(`${mountPoint}/file`, 'utf8')).toBe('not synced');
});

test.each([true, false])('expedited RCU %s: raised for the window at most, and put back', async (expediteRcu) => {
  await using rcu = await Rcu.lowered();
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'), { expediteRcu });
  const one = await rig.volume(scratch, 'one', 'ext4');
  const plan = rig.plan('group', [one.id]);
  await rig.agent.prepare(plan, NEVER);
  await rig.agent.freeze(plan.token, NEVER);
  await (expediteRcu ? rcu.expectRaised() : rcu.expectLeftAlone());
  await rig.agent.cut(plan.token, NEVER);
  await rcu.expectPutBack();
  await rig.agent.abort(plan.token, NEVER);
});
