/** What copies cost, what deleting and trimming give back, and what happens when a pool is full. */
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { snapshotId } from '../../../src/core/ids.ts';
import { newToken } from '../../../src/core/round.ts';
import { run } from '../../../src/host/exec.ts';
import { checkFilesystem } from '../../../src/host/filesystem.ts';
import { syncfs } from '../../../src/host/libc.ts';
import { unmount } from '../../../src/host/mount.ts';
import { allocatedBytes } from '../../../src/host/sparse-file.ts';
import { NEVER, NODE } from '../../support/rig.ts';
import { eventually, Scratch } from '../../support/scratch.ts';
import { create, fragment, idOf, mountExt4, openPool } from './playground.ts';

/** Enough extents that a clone takes milliseconds, and everything else about it less. */
const EXTENTS = 4000;
const REPETITIONS = 9;

test('what a snapshot costs depends on extents, and not on size', async () => {
  await using scratch = await Scratch.open();
  const { backend } = await openPool(scratch, { poolBytes: 2n * GiB });
  const sizes = { small: GiB, large: 20n * GiB };
  for (const [name, size] of Object.entries(sizes)) {
    const { id } = await create(backend, name, size);
    // Spread over the whole of it, were it large or small.
    await fragment(await backend.attach(id, { readOnly: false }), size / 2n, EXTENTS);
  }
  const costs: Record<keyof typeof sizes, number[]> = { small: [], large: [] };
  for (let i = 0; i < REPETITIONS; i++) {
    for (const name of ['small', 'large'] as const) {
      const members = [{ volumeId: idOf(name), snapshotId: snapshotId(NODE, `${name}-${i}`) }];
      const plan = { token: newToken(), name: `${name}-${i}`, members, leaseMs: 1000, fenced: true };
      await backend.prepareCut(plan, NEVER);
      const start = performance.now();
      await backend.cutMember(plan.token, idOf(name));
      costs[name].push(performance.now() - start);
      await backend.abortCut(plan.token);
    }
  }
  // The least of several: what the machine does besides can only add to it. 20 times the size, and generous.
  expect(Math.min(...costs.large)).toBeLessThan(4 * Math.min(...costs.small));
});

test('a snapshot takes no space until something is written, and deleting it gives that back', async () => {
  await using scratch = await Scratch.open();
  const { backend } = await openPool(scratch);
  const { id, mountPoint } = await mountExt4(scratch, backend, 'volume', 256n * MiB);
  await writeFile(`${mountPoint}/file`, Buffer.alloc(Number(64n * MiB), 1), { flush: true });
  const used = async () => {
    const { totalBytes, freeBytes } = await backend.capacity();
    return totalBytes - freeBytes;
  };
  const before = await used();
  const members = [{ volumeId: id, snapshotId: snapshotId(NODE, 'snapshot') }];
  const plan = { token: newToken(), name: 'snapshot', members, leaseMs: 1000, fenced: true };
  await backend.prepareCut(plan, NEVER);
  await backend.cutMember(plan.token, id);
  await backend.sealCut(plan.token, []);
  await backend.commitCut(plan.token);
  expect((await used()) - before).toBeLessThan(8n * MiB);
  await writeFile(`${mountPoint}/file`, Buffer.alloc(Number(64n * MiB), 2), { flush: true });
  expect((await used()) - before).toBeGreaterThan(40n * MiB);
  await backend.deleteSnapshot(members[0]?.snapshotId ?? '');
  await eventually('space is given back', async () => (await used()) - before < 16n * MiB);
});

test('what is trimmed in a volume goes back to the pool, and to the filesystem below', async () => {
  await using scratch = await Scratch.open();
  const { backend } = await openPool(scratch);
  const { device, mountPoint } = await mountExt4(scratch, backend, 'volume', 256n * MiB);
  // Without `discard`, so that it is the trim that does it.
  await unmount(mountPoint);
  await scratch.mount('volume', device.path, 'ext4');
  const image = scratch.path('data', 'pool', 'volumes', `${idOf('volume').split('.')[0]}.img`);
  const poolFile = scratch.path('data', 'pool.xfs');
  await writeFile(`${mountPoint}/file`, Buffer.alloc(Number(128n * MiB), 1), { flush: true });
  const full = { image: await allocatedBytes(image), pool: await allocatedBytes(poolFile) };
  expect(full.image).toBeGreaterThan(128n * MiB);
  await rm(`${mountPoint}/file`);
  expect(await allocatedBytes(image)).toBeGreaterThan(128n * MiB);
  await eventually('the image gives it back', async () => {
    // What was freed is free for good, and can be trimmed, when the journal has it.
    await run(['fstrim', mountPoint]);
    return full.image - (await allocatedBytes(image)) > 120n * MiB;
  });
  await eventually('the pool gives it back', async () => {
    // XFS discards what its log has; by itself that is every 30 seconds.
    await using folder = await open(scratch.path('data', 'pool'));
    await syncfs(folder.fd);
    return full.pool - (await allocatedBytes(poolFile)) > 100n * MiB;
  });
});

/**
 * The pool promises more than it has, and one volume takes it all. What happens:
 *   - the greedy volume's writes fail (EIO or ENOSPC from its fsync; its ext4 may go read-only);
 *   - what others were acknowledged before stays, and can be read. They can't have new blocks either: their writes may
 *     fail as on a broken disk, so that they go read-only, but none of it is lost or mixed up;
 *   - nothing new is made: resource-exhausted;
 *   - when space is free again, everything works; who went read-only is mounted again, and sound.
 */
test('a full pool corrupts nobody', async () => {
  await using scratch = await Scratch.open();
  const limits = { poolBytes: 600n * MiB, overcommitRatio: 10, reservePercent: 15 };
  const { backend } = await openPool(scratch, limits);
  const quiet = await mountExt4(scratch, backend, 'quiet', 256n * MiB);
  const greedy = await mountExt4(scratch, backend, 'greedy', 2n * GiB);
  const acknowledged = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
  const names = Array.from({ length: 8 }, (_, i) => `${quiet.mountPoint}/file-${i}`);
  const expectIntact = async () => {
    for (const name of names) expect((await readFile(name)).equals(acknowledged)).toBe(true);
  };
  for (const name of names) await writeFile(name, acknowledged, { flush: true });

  const chunk = Buffer.alloc(Number(16n * MiB), 1);
  const greed = async () => {
    for (let i = 0; i < 128; i++) await writeFile(`${greedy.mountPoint}/file-${i}`, chunk, { flush: true });
  };
  const broken = { code: expect.stringMatching(/^(EIO|ENOSPC|EROFS)$/) };
  await expect(greed()).rejects.toMatchObject(broken);

  const exhausted = { code: 'resource-exhausted' };
  expect((await backend.capacity()).availableBytes).toBe(0n);
  await expect(create(backend, 'new', 16n * MiB)).rejects.toMatchObject(exhausted);
  const clone = { id: idOf('clone'), name: 'clone', capacityBytes: 256n * MiB, parameters: {} };
  const source = { kind: 'volume' as const, id: quiet.id };
  await expect(backend.createVolume({ ...clone, source }, NEVER)).rejects.toMatchObject(exhausted);
  await expect(backend.expandVolume(quiet.id, 272n * MiB)).rejects.toMatchObject(exhausted);
  const members = [{ volumeId: quiet.id, snapshotId: snapshotId(NODE, 'snapshot') }];
  const plan = { token: newToken(), name: 'snapshot', members, leaseMs: 1000, fenced: true };
  await expect(backend.prepareCut(plan, NEVER)).rejects.toMatchObject(exhausted);
  expect((await backend.listVolumes({})).items).toHaveLength(2);

  // More than the pool has: fails, or is there whole.
  const more = `${quiet.mountPoint}/more`;
  const outcome = await writeFile(more, acknowledged, { flush: true }).catch((error: unknown) => error);
  if (outcome !== undefined) expect(outcome).toMatchObject(broken);
  await expectIntact();

  await unmount(greedy.mountPoint);
  await backend.detach(greedy.id);
  await backend.deleteVolume(greedy.id);
  await eventually('space is given back', async () => (await backend.capacity()).availableBytes > GiB);

  await unmount(quiet.mountPoint);
  await scratch.mount('quiet', quiet.device.path, 'ext4');
  await expectIntact();
  if (outcome === undefined) expect((await readFile(more)).equals(acknowledged)).toBe(true);
  await writeFile(`${quiet.mountPoint}/afterwards`, 'works', { flush: true });
  await unmount(quiet.mountPoint);
  expect(await checkFilesystem(quiet.device.path, 'ext4')).toMatchObject({ clean: true });
  await create(backend, 'afterwards', 256n * MiB);
});
