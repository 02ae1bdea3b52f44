import { open } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import type { Backend } from '../../src/core/backend.ts';
import { GiB, MiB } from '../../src/core/bytes.ts';
import type { PoolCapacity } from '../../src/core/capacity.ts';
import { type VolumeId, volumeId } from '../../src/core/ids.ts';
import { eventually } from '../support/scratch.ts';
import {
  copy,
  create,
  cut,
  cutUntil,
  fill,
  HOME_ELSEWHERE,
  idOf,
  larger,
  type MakePool,
  NEVER,
  planOf,
  textOf,
} from './contract.ts';

const exhausted = { code: 'resource-exhausted' };
/** What a pool's own bookkeeping may take while nobody looks. */
const NOISE = 8n * MiB;

export function capacityContract(makePool: MakePool): void {
  test.each([
    [1, 0],
    [1, 10],
    [2.5, 20],
  ])('a new pool promises %d times what it holds, but for %d percent', async (overcommitRatio, reservePercent) => {
    await using pool = await makePool({ overcommitRatio, reservePercent });
    const backend = await pool.open();
    const { totalBytes, freeBytes, promisedBytes, availableBytes } = await backend.capacity(NEVER);
    expect(totalBytes).toBeLessThanOrEqual(2n * GiB);
    expect(totalBytes).toBeGreaterThan(GiB);
    expect(freeBytes).toBeLessThanOrEqual(totalBytes);
    expect(promisedBytes).toBe(0n);
    const usable = (Number(totalBytes) * (100 - reservePercent)) / 100;
    expect(Number(availableBytes)).toBeLessThanOrEqual(usable * overcommitRatio + 8);
    // What is not free can't be promised, were it ever so much over-committed.
    const free = Number(freeBytes) - (Number(totalBytes) * reservePercent) / 100;
    expect(Number(availableBytes)).toBeLessThanOrEqual(free * overcommitRatio + 8);
    expect(Number(availableBytes)).toBeGreaterThan(0.9 * free * overcommitRatio);
  });

  test('promises are counted: volumes, their growth, and what snapshots hold; and given back', async () => {
    await using pool = await makePool({ overcommitRatio: 2 });
    let backend = await pool.open();
    const expectPromised = async (bytes: bigint) => {
      // Also by an instance that has to find out.
      for (let round = 0; round < 2; round++) {
        expect((await backend.capacity(NEVER)).promisedBytes).toBe(bytes);
        backend = await pool.open();
      }
    };
    const least = backend.minVolumeBytes;
    const { id } = await create(backend, 'volume');
    await create(backend, 'volume');
    await expectPromised(least);
    // The more is promised, the less is left.
    await create(backend, 'large', { capacityBytes: GiB });
    const before = await backend.capacity(NEVER);
    await create(backend, 'another', { capacityBytes: GiB });
    const after = await backend.capacity(NEVER);
    expectAbout(before.availableBytes - after.availableBytes, GiB);
    for (const name of ['large', 'another']) await backend.deleteVolume(idOf(name));

    await backend.expandVolume(id, larger(backend), NEVER);
    await expectPromised(larger(backend));
    await fill(backend, id, 'held', MiB);
    const { snapshots } = await cut(backend, planOf('group', [id]));
    const held = snapshots[0]?.heldBytes ?? 0n;
    expect(held).toBeGreaterThan(0n);
    expect(held).toBeLessThan(least);
    await expectPromised(larger(backend) + held);
    await copy(backend, 'copy', { kind: 'volume', id }, larger(backend));
    await expectPromised(2n * larger(backend) + held);

    await backend.deleteGroup(planOf('group', [id]).group?.id ?? '');
    await backend.deleteVolume(idOf('copy'));
    await expectPromised(larger(backend));
    await backend.deleteVolume(id);
    await expectPromised(0n);
  });

  test('what a sealed cut holds is promised once, through a restart too, until it is committed or aborted', async () => {
    await using pool = await makePool();
    let backend = await pool.open();
    const { id } = await create(backend, 'volume');
    await fill(backend, id, 'held', MiB);
    const least = backend.minVolumeBytes;
    const promised = async () => (await backend.capacity(NEVER)).promisedBytes - least;
    const stranger = volumeId(HOME_ELSEWHERE, 'stranger');
    const [first, second] = [planOf('first', [id], [stranger]), planOf('second', [id], [stranger])];

    await cutUntil(backend, first, 'seal');
    const held = await promised();
    expect(held).toBeGreaterThan(0n);
    expect(held).toBeLessThan(least);
    backend = await pool.open();
    expect(await promised()).toBe(held);
    const { snapshots } = await backend.commitCut(first.token);
    expect(await promised()).toBe(held);
    expect(snapshots[0]?.heldBytes).toBe(held);
    await cutUntil(backend, second, 'seal');
    expect(await promised()).toBe(2n * held);
    backend = await pool.open();
    await backend.abortCut(second.token);
    expect(await promised()).toBe(held);
  });

  test('what is available can be had, what is more is refused and leaves nothing', async () => {
    await using pool = await makePool({ overcommitRatio: 1, reservePercent: 10 });
    const backend = await pool.open();
    const { id } = await create(backend, 'volume');
    await create(backend, 'large', { capacityBytes: GiB });
    const { availableBytes } = await backend.capacity(NEVER);
    const most = availableBytes - (availableBytes % backend.sizeGranularity);
    const more = most + NOISE + backend.sizeGranularity;
    await expect(create(backend, 'more', { capacityBytes: more })).rejects.toMatchObject(exhausted);
    const clone = copy(backend, 'more', { kind: 'volume', id }, more);
    await expect(clone).rejects.toMatchObject(exhausted);
    await expect(backend.expandVolume(id, backend.minVolumeBytes + more, NEVER)).rejects.toMatchObject(exhausted);
    expect((await backend.listVolumes({})).items).toHaveLength(2);
    expect((await backend.capacity(NEVER)).promisedBytes).toBe(GiB + backend.minVolumeBytes);
    await create(backend, 'most', { capacityBytes: most - NOISE });
    await expect(create(backend, 'one more', { capacityBytes: 3n * NOISE })).rejects.toMatchObject(exhausted);
  });

  test('calls at the same time are never promised the same space', async () => {
    await using pool = await makePool({ overcommitRatio: 1 });
    const backend = await pool.open();
    const { availableBytes } = await backend.capacity(NEVER);
    const part = availableBytes / 4n;
    const third = part - (part % backend.sizeGranularity) - NOISE;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) => create(backend, `volume-${i}`, { capacityBytes: third })),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(exhausted);
    expect((await backend.listVolumes({})).items).toHaveLength(4);
    expect((await backend.capacity(NEVER)).promisedBytes).toBe(4n * third);
    // Nor is growth.
    const { items } = await backend.listVolumes({});
    await backend.deleteVolume(items[0]?.id ?? '');
    const grown = await Promise.allSettled(
      items.slice(1).map(({ id }) => backend.expandVolume(id, third + (third / 2n - ((third / 2n) % MiB)), NEVER)),
    );
    expect(grown.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  });

  test('a pool that is full to its reserve makes nothing new, and what is there goes on', async () => {
    await using pool = await makePool({ sizeBytes: GiB, overcommitRatio: 10, reservePercent: 50 });
    const backend = await pool.open();
    const { id } = await create(backend, 'volume', { capacityBytes: GiB });
    await create(backend, 'other');
    await writeMany(backend, id, await amountUntil(backend, 50n));
    expect((await backend.capacity(NEVER)).availableBytes).toBe(0n);
    await expect(create(backend, 'new')).rejects.toMatchObject(exhausted);
    await expect(copy(backend, 'new', { kind: 'volume', id }, GiB)).rejects.toMatchObject(exhausted);
    await expect(backend.expandVolume(idOf('other'), larger(backend), NEVER)).rejects.toMatchObject(exhausted);
    await expect(backend.prepareCut(planOf('group', [id]), NEVER)).rejects.toMatchObject(exhausted);
    expect((await backend.listVolumes({})).items).toHaveLength(2);
    // What there is can be written to, looked up, deleted.
    await fill(backend, idOf('other'), 'still works');
    await backend.deleteVolume(id);
    await eventually('space is given back', async () => (await backend.capacity(NEVER)).availableBytes > 0n);
    await create(backend, 'new');
  });

  test('a pool that runs full refuses what it can not do any more, and nothing half made is left', async () => {
    await using pool = await makePool({ sizeBytes: GiB, overcommitRatio: 10 });
    let backend = await pool.open();
    const { id } = await create(backend, 'volume', { capacityBytes: 2n * GiB });
    const other = await create(backend, 'other');
    await fill(backend, other.id, 'intact');
    await expect(writeMany(backend, id, 2n * GiB)).rejects.toThrow();

    const made = new Set<string>([id, other.id]);
    for (let i = 0; i < 20; i++) {
      for (const attempt of [
        () => create(backend, `new-${i}`),
        () => copy(backend, `copy-${i}`, { kind: 'volume', id: other.id }, other.capacityBytes),
      ]) {
        // Something small may still fit: then it is whole.
        await attempt().then(
          ({ id }) => made.add(id),
          (error: unknown) => expect(error).toMatchObject(exhausted),
        );
      }
    }
    const plan = planOf('group', [other.id]);
    const prepared = await backend.prepareCut(plan, NEVER).catch((error: unknown) => error);
    if (prepared !== undefined) expect(prepared).toMatchObject(exhausted);
    await backend.abortCut(plan.token);
    for (let round = 0; round < 2; round++) {
      const { items } = await backend.listVolumes({});
      expect(new Set(items.map((volume) => volume.id))).toEqual(made);
      expect(await backend.listSnapshots({}, {})).toEqual({ items: [] });
      expect(await textOf(backend, other.id)).toBe('intact');
      backend = await pool.open();
    }
    await backend.deleteVolume(id);
    await eventually('space is given back', async () => (await backend.capacity(NEVER)).freeBytes > GiB / 2n);
    await cut(backend, planOf('group', [other.id]));
  });
}

function expectAbout(actual: bigint, expected: bigint): void {
  expect(actual).toBeGreaterThanOrEqual(expected - NOISE);
  expect(actual).toBeLessThanOrEqual(expected + NOISE);
}

/** How much must be written until no more than so many percent are free. */
async function amountUntil(backend: Backend, percent: bigint): Promise<bigint> {
  const { totalBytes, freeBytes }: PoolCapacity = await backend.capacity(NEVER);
  return freeBytes - (totalBytes * percent) / 100n + NOISE;
}

/** Writes so much to the start of the volume, durably. @throws when the pool takes no more */
async function writeMany(backend: Backend, id: VolumeId, bytes: bigint): Promise<void> {
  const device = await backend.attach(id, { readOnly: false });
  try {
    await using file = await open(device.path, 'r+');
    const chunk = Buffer.alloc(Number(8n * MiB), 1);
    for (let at = 0; at < Number(bytes); at += chunk.length) {
      await file.write(chunk, 0, chunk.length, at);
      await file.datasync();
    }
  } finally {
    await backend.detach(id);
  }
}
