import { expect, test } from '@jest/globals';
import { MiB } from '../../src/core/bytes.ts';
import type { Content, ContentSource } from '../../src/core/volume.ts';
import {
  copy,
  create,
  cut,
  fill,
  idOf,
  larger,
  type MakePool,
  NEVER,
  planOf,
  readBlock,
  singlePlanOf,
  textOf,
  writeBlock,
} from './contract.ts';

/** What is known of the source, and what then is of the copy. */
const CONTENTS: readonly (readonly [Content, Content])[] = [
  [{ kind: 'blank' }, { kind: 'blank' }],
  [{ kind: 'raw' }, { kind: 'raw' }],
  [
    { kind: 'filesystem', fsType: 'xfs', identity: 'own' },
    { kind: 'filesystem', fsType: 'xfs', identity: 'copied' },
  ],
  [
    { kind: 'filesystem', fsType: 'ext4', identity: 'copied' },
    { kind: 'filesystem', fsType: 'ext4', identity: 'copied' },
  ],
];

export function copyContract(makePool: MakePool): void {
  for (const kind of ['volume', 'snapshot'] as const) {
    const open = async (makeWith: Content) => {
      const pool = await makePool();
      const backend = await pool.open();
      const { id } = await create(backend, 'source');
      await fill(backend, id, 'original');
      await fill(backend, id, 'the end', backend.minVolumeBytes - 4096n);
      if (makeWith.kind !== 'blank') await backend.setContent(id, makeWith);
      const plan = singlePlanOf('snapshot', id);
      if (kind === 'snapshot') await cut(backend, plan);
      const snapshot = plan.members[0]?.snapshotId ?? '';
      const source: ContentSource = kind === 'volume' ? { kind, id } : { kind, id: snapshot };
      return { pool, backend, source };
    };

    test.each(CONTENTS)(`a copy of a ${kind} with %j holds the same, and knows what`, async (content, copied) => {
      const { pool, backend, source } = await open(content);
      await using _pool = pool;
      const same = await copy(backend, 'same', source, backend.minVolumeBytes);
      const big = await copy(backend, 'big', source, larger(backend));
      expect(same).toMatchObject({ capacityBytes: backend.minVolumeBytes, source, content: copied });
      expect(big).toMatchObject({ capacityBytes: larger(backend), source, content: copied });
      for (const { id } of [same, big]) {
        expect(await textOf(backend, id)).toBe('original');
        expect(await textOf(backend, id, backend.minVolumeBytes - 4096n)).toBe('the end');
      }
      expect(await textOf(backend, big.id, larger(backend) - MiB)).toBe('');
    });

    test(`a copy of a ${kind} is made once, survives a crash, and stands alone`, async () => {
      const { pool, backend: first, source } = await open({ kind: 'raw' });
      await using _pool = pool;
      const volume = await copy(first, 'copy', source, first.minVolumeBytes);
      await fill(first, idOf('source'), 'changed since');
      await fill(first, volume.id, 'of its own', MiB);
      expect(await copy(first, 'copy', source, first.minVolumeBytes)).toEqual(volume);

      const backend = await pool.open();
      expect(await backend.getVolume(volume.id)).toEqual(volume);
      expect(await copy(backend, 'copy', source, backend.minVolumeBytes)).toEqual(volume);
      if (kind === 'snapshot') await backend.deleteSnapshot(source.id);
      await backend.deleteVolume(idOf('source'));
      expect(await textOf(backend, volume.id)).toBe('original');
      expect(await textOf(backend, volume.id, MiB)).toBe('of its own');
    });

    test(`a copy that is smaller than its ${kind} is refused`, async () => {
      const { pool, backend, source } = await open({ kind: 'raw' });
      await using _pool = pool;
      const smaller = backend.minVolumeBytes - backend.sizeGranularity;
      await expect(copy(backend, 'copy', source, smaller)).rejects.toMatchObject({ code: 'out-of-range' });
      expect(await backend.getVolume(idOf('copy'))).toBeUndefined();
    });

    test(`a copy of a ${kind} that is not there is refused`, async () => {
      const { pool, backend } = await open({ kind: 'raw' });
      await using _pool = pool;
      const id = singlePlanOf('nothing', '').members[0]?.snapshotId ?? '';
      const source: ContentSource = kind === 'volume' ? { kind, id: idOf('nothing') } : { kind, id };
      const refused = copy(backend, 'copy', source, backend.minVolumeBytes);
      await expect(refused).rejects.toMatchObject({ code: 'not-found' });
      expect(await backend.getVolume(idOf('copy'))).toBeUndefined();
    });
  }

  test('a copy of a volume that grew has its size; a snapshot keeps the size of its cut', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const { id } = await create(backend, 'source');
    const before = await cut(backend, planOf('before', [id]));
    await backend.expandVolume(id, larger(backend), NEVER);
    const after = await cut(backend, planOf('after', [id]));
    expect([before, after].map(({ snapshots }) => snapshots[0]?.sizeBytes)).toEqual([
      backend.minVolumeBytes,
      larger(backend),
    ]);
    const smaller = copy(backend, 'copy', { kind: 'volume', id }, backend.minVolumeBytes);
    await expect(smaller).rejects.toMatchObject({ code: 'out-of-range' });
    const old: ContentSource = { kind: 'snapshot', id: before.snapshots[0]?.id ?? '' };
    expect(await copy(backend, 'old', old, backend.minVolumeBytes)).toMatchObject({ source: old });
  });

  test('a copy of a volume in use has what was durable', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const { id } = await create(backend, 'source');
    const device = await backend.attach(id, { readOnly: false });
    await writeBlock(device, 'durable');
    const volume = await copy(backend, 'copy', { kind: 'volume', id }, backend.minVolumeBytes);
    await writeBlock(device, 'later');
    expect(await textOf(backend, volume.id)).toBe('durable');
    expect(await readBlock(device)).toBe('later');
  });

  test('a copy of a copy of a copy', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    await create(backend, 'copy-0');
    for (let i = 1; i <= 5; i++) {
      await fill(backend, idOf(`copy-${i - 1}`), `written to ${i - 1}`, BigInt(i) * MiB);
      await copy(backend, `copy-${i}`, { kind: 'volume', id: idOf(`copy-${i - 1}`) }, backend.minVolumeBytes);
    }
    for (let i = 1; i <= 5; i++)
      expect(await textOf(backend, idOf('copy-5'), BigInt(i) * MiB)).toBe(`written to ${i - 1}`);
  });
}
