import { expect, test } from '@jest/globals';
import { create, deviceSize, idOf, larger, type MakePool, NEVER, readBlock, writeBlock } from './contract.ts';

export function deviceContract(makePool: MakePool): void {
  test('attached twice is one device, of the right size, also after a crash', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    const { id, capacityBytes } = await create(backend, 'volume');
    const device = await backend.attach(id, { readOnly: false });
    expect(device).toMatchObject({ path: expect.stringMatching(/^\/dev\//), readOnly: false });
    expect(device.devNumber).toMatch(/^\d+:\d+$/);
    expect(await deviceSize(device)).toBe(capacityBytes);
    await writeBlock(device, 'written');
    expect(await backend.attach(id, { readOnly: false })).toMatchObject({ ...device });
    backend = await pool.open();
    expect(await backend.devices(id)).toEqual([expect.objectContaining({ ...device })]);
    expect(await backend.attach(id, { readOnly: false })).toMatchObject({ ...device });
    expect(await readBlock(device)).toBe('written');
  });

  test('more than eight at once', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const ids = Array.from({ length: 20 }, (_, i) => `volume-${i}`);
    await Promise.all(ids.map((name) => create(backend, name)));
    const devices = await Promise.all(ids.map((name) => backend.attach(idOf(name), { readOnly: false })));
    expect(new Set(devices.map(({ path }) => path)).size).toBe(ids.length);
    await Promise.all(devices.map((device, i) => writeBlock(device, `volume-${i}`)));
    for (const [i, device] of devices.entries()) expect(await readBlock(device)).toBe(`volume-${i}`);
  });

  test('a second, read-only device is another one, and takes no writes', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const { id } = await create(backend, 'volume');
    const writable = await backend.attach(id, { readOnly: false });
    await writeBlock(writable, 'written');
    const readOnly = await backend.attach(id, { readOnly: true });
    expect(readOnly.path).not.toBe(writable.path);
    expect(readOnly.readOnly).toBe(true);
    expect(await backend.attach(id, { readOnly: true })).toMatchObject({ ...readOnly });
    expect(await readBlock(readOnly)).toBe('written');
    await expect(writeBlock(readOnly, 'forbidden')).rejects.toThrow();
    expect(await readBlock(writable)).toBe('written');
    const paths = (await backend.devices(id)).map(({ path }) => path);
    expect(new Set(paths)).toEqual(new Set([writable.path, readOnly.path]));
  });

  test('detaching takes away all of them, again and again', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const { id } = await create(backend, 'volume');
    await backend.detach(id);
    await backend.attach(id, { readOnly: false });
    await backend.attach(id, { readOnly: true });
    await backend.detach(id);
    expect(await backend.devices(id)).toEqual([]);
    await backend.detach(id);
    await backend.detach(idOf('nobody'));
    expect(await backend.devices(idOf('nobody'))).toEqual([]);
    await expect(backend.attach(idOf('nobody'), { readOnly: false })).rejects.toMatchObject({ code: 'not-found' });
  });

  test.each([false, true])('a volume that is attached (read-only: %s) can not be deleted', async (readOnly) => {
    await using pool = await makePool();
    let backend = await pool.open();
    const { id } = await create(backend, 'volume');
    const device = await backend.attach(id, { readOnly });
    await expect(backend.deleteVolume(id)).rejects.toMatchObject({ code: 'failed-precondition' });
    backend = await pool.open();
    await expect(backend.deleteVolume(id)).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await backend.getVolume(id)).toBeDefined();
    expect(await readBlock(device)).toBe('');
    await backend.detach(id);
    await backend.deleteVolume(id);
    expect(await backend.getVolume(id)).toBeUndefined();
  });

  test('devices grow with their volume, the read-only one too', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const { id } = await create(backend, 'volume');
    const writable = await backend.attach(id, { readOnly: false });
    const readOnly = await backend.attach(id, { readOnly: true });
    await writeBlock(writable, 'kept');
    const size = larger(backend);
    await backend.expandVolume(id, size, NEVER);
    await backend.expandVolume(id, size, NEVER);
    expect(await deviceSize(writable)).toBe(size);
    expect(await deviceSize(readOnly)).toBe(size);
    await writeBlock(writable, 'new end', size - 4096n);
    expect(await readBlock(writable)).toBe('kept');
    expect(await readBlock(writable, size - 4096n)).toBe('new end');
  });

  test('an attached volume that nobody has mounted is idle; a raw one is not', async () => {
    await using pool = await makePool();
    const backend = await pool.open();
    const detached = await create(backend, 'detached');
    const attached = await create(backend, 'attached');
    await backend.attach(attached.id, { readOnly: false });
    const raw = await create(backend, 'raw');
    await backend.setContent(raw.id, { kind: 'raw' });
    await backend.attach(raw.id, { readOnly: false });
    const targets = await backend.fenceTargets([attached.id, raw.id, detached.id]);
    expect(targets[0]).toEqual({ kind: 'idle' });
    // A backend may be able to fence raw block volumes; then it is no longer `unfenceable`, but never idle.
    expect(targets[1]?.kind).not.toBe('idle');
    expect(targets[2]).toEqual({ kind: 'idle' });
    await expect(backend.fenceTargets([idOf('nobody')])).rejects.toMatchObject({ code: 'not-found' });
    expect(await backend.fenceTargets([])).toEqual([]);
  });
}
