import { expect, test } from '@jest/globals';
import { MiB } from '../../src/core/bytes.ts';
import type { Content, Volume, VolumeSpec } from '../../src/core/volume.ts';
import { create, fill, idOf, larger, type MakePool, NEVER, pages, specOf, textOf } from './contract.ts';

const CONTENTS: readonly Content[] = [
  { kind: 'formatting', fsType: 'xfs' },
  { kind: 'filesystem', fsType: 'xfs', identity: 'own' },
  { kind: 'filesystem', fsType: 'btrfs', identity: 'copied' },
  { kind: 'raw' },
];

export function volumeContract(makePool: MakePool): void {
  test('a new volume is blank, and is what was asked for', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const parameters = { 'any/key': 'any value', ünicode: '🌊', __proto__x: 'x' };
    const before = Date.now();
    const volume = await create(backend, 'name of 128 bytes/../ \u{1F30A}', {
      parameters,
      capacityBytes: larger(backend),
    });
    expect(volume).toEqual({
      id: idOf('name of 128 bytes/../ \u{1F30A}'),
      name: 'name of 128 bytes/../ \u{1F30A}',
      node: 'node-a',
      capacityBytes: larger(backend),
      content: { kind: 'blank' },
      parameters,
      createdAt: expect.any(Number),
    });
    expect(volume.createdAt).toBeGreaterThanOrEqual(before);
    expect(volume.createdAt).toBeLessThanOrEqual(Date.now());
    expect(await textOf(backend, volume.id)).toBe('');
    expect(await textOf(backend, volume.id, larger(backend) - MiB)).toBe('');
  });

  test('made again, it is the same one, with what was written to it; also after a crash', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    const volume = await create(backend, 'volume');
    await fill(backend, volume.id, 'precious');
    expect(await create(backend, 'volume')).toEqual(volume);
    backend = await pool.open();
    expect(await backend.getVolume(volume.id)).toEqual(volume);
    expect(await create(backend, 'volume')).toEqual(volume);
    expect(await backend.listVolumes({})).toEqual({ items: [volume] });
    expect(await textOf(backend, volume.id)).toBe('precious');
  });

  test('made again as another, it is refused and stays', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const volume = await create(backend, 'volume', { accessType: 'mount' });
    const source = await create(backend, 'source');
    const others: readonly Partial<VolumeSpec>[] = [
      { accessType: 'block' },
      { capacityBytes: larger(backend) },
      { source: { kind: 'volume', id: source.id } },
      { parameters: { other: 'parameters' } },
    ];
    for (const other of others) {
      await expect(create(backend, 'volume', other)).rejects.toMatchObject({ code: 'already-exists' });
    }
    // Asked by a release that does not say.
    expect(await create(backend, 'volume')).toEqual(volume);
    expect(await (await pool.open()).getVolume(volume.id)).toEqual({ ...volume, accessType: 'mount' });
  });

  test('many are made at once', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    const names = Array.from({ length: 24 }, (_, i) => `volume-${i}`);
    const made = await Promise.all(names.map((name) => create(backend, name)));
    const { items } = await backend.listVolumes({});
    expect(items).toEqual(sorted(made));
    backend = await pool.open();
    expect(await backend.listVolumes({})).toEqual({ items: sorted(made) });
  });

  test('deleted, it is gone, and again, and after a crash', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    const { id } = await create(backend, 'volume');
    await fill(backend, id, 'old');
    await backend.deleteVolume(id);
    await backend.deleteVolume(id);
    await backend.deleteVolume(idOf('never was'));
    for (let round = 0; round < 2; round++) {
      expect(await backend.getVolume(id)).toBeUndefined();
      expect(await backend.listVolumes({})).toEqual({ items: [] });
      expect(await backend.devices(id)).toEqual([]);
      backend = await pool.open();
      await backend.deleteVolume(id);
    }
    // The same name again is a new volume.
    await create(backend, 'volume');
    expect(await textOf(backend, id)).toBe('');
  });

  test('is listed in the order of ids, page by page', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const made: Volume[] = [];
    for (let i = 0; i < 13; i++) made.push(await create(backend, `volume-${i}`));
    const all = sorted(made);
    for (const limit of [1, 2, 5, 12, 13, 14, 100]) {
      expect(await pages((page) => backend.listVolumes(page), limit)).toEqual(all);
    }
    expect(await backend.listVolumes({ after: all[3]?.id ?? '', limit: 2 })).toEqual({
      items: all.slice(4, 6),
      next: all[5]?.id,
    });
    // A page may start after what is gone.
    await backend.deleteVolume(all[5]?.id ?? '');
    expect(await backend.listVolumes({ after: all[5]?.id ?? '', limit: 2 })).toEqual({
      items: all.slice(6, 8),
      next: all[7]?.id,
    });
    expect(await backend.listVolumes({ after: all.at(-1)?.id ?? '', limit: 2 })).toEqual({ items: [] });
  });

  test('keeps what is known of its content, also after a crash', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    const volume = await create(backend, 'volume');
    for (const content of CONTENTS) {
      expect(await backend.setContent(volume.id, content)).toEqual({ ...volume, content });
      await backend.setContent(volume.id, content);
      backend = await pool.open();
      expect(await backend.getVolume(volume.id)).toEqual({ ...volume, content });
    }
    await expect(backend.setContent(idOf('nobody'), { kind: 'raw' })).rejects.toMatchObject({ code: 'not-found' });
  });

  test('grows and never shrinks, also after a crash', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    const { id, capacityBytes, createdAt } = await create(backend, 'volume');
    await fill(backend, id, 'kept');
    const size = larger(backend);
    expect(await backend.expandVolume(id, size, NEVER)).toMatchObject({ id, capacityBytes: size, createdAt });
    for (const same of [size, capacityBytes]) {
      expect(await backend.expandVolume(id, same, NEVER)).toMatchObject({ capacityBytes: size });
    }
    backend = await pool.open();
    expect(await backend.getVolume(id)).toMatchObject({ capacityBytes: size });
    expect(await backend.expandVolume(id, size, NEVER)).toMatchObject({ capacityBytes: size });
    expect(await textOf(backend, id)).toBe('kept');
    expect(await textOf(backend, id, size - MiB)).toBe('');
    await expect(backend.expandVolume(idOf('nobody'), size, NEVER)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('of a caller who has gone is not made', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const gone = new Error('gone');
    await expect(backend.createVolume(specOf(backend, 'volume'), AbortSignal.abort(gone))).rejects.toBe(gone);
    expect(await backend.listVolumes({})).toEqual({ items: [] });
  });

  test.each([1, 1_000_000_000])('sizes past 2^53 are refused, over-commit ratio %d', async (overcommitRatio) => {
    await using pool = await makePool({ overcommitRatio });
    const backend = await pool.open();
    const { id } = await create(backend, 'volume');
    const refusal = { code: expect.stringMatching(/^(out-of-range|resource-exhausted)$/) };
    for (const huge of [2n ** 53n, 2n ** 53n + MiB, 2n ** 62n, 2n ** 63n - MiB]) {
      await expect(create(backend, 'huge', { capacityBytes: huge })).rejects.toMatchObject(refusal);
      await expect(backend.expandVolume(id, huge, NEVER)).rejects.toMatchObject(refusal);
    }
    expect((await backend.listVolumes({})).items).toEqual([expect.objectContaining({ id })]);
    expect(await backend.getVolume(id)).toMatchObject({ capacityBytes: backend.minVolumeBytes });
    await fill(backend, id, 'works');
  });
}

function sorted(volumes: readonly Volume[]): readonly Volume[] {
  return volumes.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
