import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { volumeId } from '../../../src/core/ids.ts';
import { RoundCoordinator } from '../../../src/fence/coordinator.ts';
import type { CreateVolumeRequest } from '../../../src/volumes/requests.ts';
import { SnapshotService } from '../../../src/volumes/snapshot-service.ts';
import { VolumeService } from '../../../src/volumes/volume-service.ts';
import { FakeDirectory, noSignal } from '../support/fake-agent.ts';
import { UNOBSERVED } from '../support/fake-agents.ts';

const ANYWHERE = { requisite: [], preferred: [] };

function ask(request: Partial<CreateVolumeRequest> = {}): CreateVolumeRequest {
  return { name: 'pvc-1', range: {}, placement: ANYWHERE, parameters: {}, ...request };
}

function setUp(...nodes: string[]) {
  const directory = new FakeDirectory(...(nodes.length > 0 ? nodes : ['a']));
  const rounds = new RoundCoordinator(directory, 1000, UNOBSERVED);
  const volumes = new VolumeService(directory);
  const snapshots = new SnapshotService(directory, rounds);
  const snapshot = (sourceVolumeId: string, name = 's') =>
    snapshots.create({ name, sourceVolumeId, placement: ANYWHERE, parameters: {} }, noSignal);
  return { directory, volumes, snapshots, snapshot, agent: directory.agent(directory.nodes()[0] ?? '') };
}

describe('create', () => {
  test('the same call again answers the same volume, and makes none', async () => {
    const { volumes, agent } = setUp();
    const request = ask({ range: { requiredBytes: GiB, limitBytes: 2n * GiB } });
    const first = await volumes.create(request, noSignal);
    expect(first).toMatchObject({ id: volumeId('a', 'pvc-1'), capacityBytes: GiB, node: 'a' });
    expect(await volumes.create(request, noSignal)).toBe(first);
    expect(agent.calls).toEqual(['create pvc-1']);
  });

  test('names of Kubernetes objects may differ between retries', async () => {
    const { volumes } = setUp();
    const first = await volumes.create(ask({ parameters: { 'csi.storage.k8s.io/pvc/name': 'a' } }), noSignal);
    expect(await volumes.create(ask({ parameters: { 'csi.storage.k8s.io/pvc/name': 'b' } }), noSignal)).toBe(first);
  });

  test.each<[string, Partial<CreateVolumeRequest>]>([
    ['larger', { range: { requiredBytes: GiB + 1n } }],
    ['smaller', { range: { limitBytes: GiB - 1n } }],
    ['from a source', { source: { kind: 'snapshot', id: 'snap-x' } }],
    ['with other parameters', { parameters: { 'x/other': '1' } }],
  ])('a volume of this name that exists, asked for %s, is already-exists', async (_what, difference) => {
    const { volumes } = setUp('a', 'b');
    await volumes.create(ask({ placement: { requisite: ['a'], preferred: [] } }), noSignal);
    await expect(volumes.create(ask(difference), noSignal)).rejects.toMatchObject({ code: 'already-exists' });
  });

  test('a volume for one access type is none for the other; where it is not known, it may be for both', async () => {
    const { volumes } = setUp();
    const types = ['mount', 'block'] as const;
    for (const accessType of types) await volumes.create(ask({ name: accessType, accessType }), noSignal);
    for (const [i, name] of types.entries()) {
      await expect(volumes.create(ask({ name, accessType: types[1 - i] ?? 'mount' }), noSignal)).rejects.toMatchObject({
        code: 'already-exists',
        message: `a volume named "${name}" exists, and was made as a ${name} volume (asked for: ${types[1 - i]})`,
      });
    }
    const old = await volumes.create(ask({ name: 'old' }), noSignal);
    for (const accessType of types) expect(await volumes.create(ask({ name: 'old', accessType }), noSignal)).toBe(old);
  });

  test('only nodes where it may be are asked: a name is one volume on each of them', async () => {
    const { volumes, directory } = setUp('a', 'b');
    const onA = await volumes.create(ask({ placement: { requisite: ['a'], preferred: [] } }), noSignal);
    directory.away.add('a');
    const onB = await volumes.create(ask({ placement: { requisite: ['b'], preferred: [] } }), noSignal);
    expect([onA.node, onB.node]).toEqual(['a', 'b']);
    await expect(volumes.create(ask({ name: 'anywhere' }), noSignal)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('what is not preferred goes where most room is', async () => {
    const { volumes, directory } = setUp('a', 'b', 'c');
    directory.agent('a').freeBytes = 10n * GiB;
    directory.agent('b').freeBytes = 30n * GiB;
    directory.agent('c').freeBytes = 20n * GiB;
    expect((await volumes.create(ask({ name: 'any' }), noSignal)).node).toBe('b');
    const preferred = { requisite: ['a', 'b', 'c'], preferred: ['a'] };
    expect((await volumes.create(ask({ name: 'preferred', placement: preferred }), noSignal)).node).toBe('a');
    const large = ask({ name: 'large', placement: preferred, range: { requiredBytes: 15n * GiB } });
    expect((await volumes.create(large, noSignal)).node).toBe('b');
  });

  test('a retry of a copy is answered also when its source has gone since', async () => {
    const { volumes, snapshots, snapshot } = setUp();
    const origin = await volumes.create(ask({ name: 'origin' }), noSignal);
    const { id } = await snapshot(origin.id);
    const request = ask({ source: { kind: 'snapshot', id } });
    const copy = await volumes.create(request, noSignal);
    await snapshots.delete(id, noSignal);
    expect(await volumes.create(request, noSignal)).toBe(copy);
    await expect(volumes.create({ ...request, name: 'pvc-2' }, noSignal)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a copy is on the node of its source and at least as large', async () => {
    const { volumes, snapshot } = setUp('a', 'b');
    const onB = { requisite: ['b'], preferred: [] };
    const origin = await volumes.create(
      ask({ name: 'o', range: { requiredBytes: 2n * GiB }, placement: onB }),
      noSignal,
    );
    const { id } = await snapshot(origin.id);
    const source = { kind: 'snapshot', id } as const;
    const copy = await volumes.create(ask({ source, range: { requiredBytes: GiB } }), noSignal);
    expect(copy).toMatchObject({ node: 'b', capacityBytes: 2n * GiB, source });
    await expect(
      volumes.create(ask({ name: 'x', source, range: { limitBytes: GiB } }), noSignal),
    ).rejects.toMatchObject({
      code: 'out-of-range',
    });
    const onA = { requisite: ['a'], preferred: [] };
    await expect(volumes.create(ask({ name: 'y', source, placement: onA }), noSignal)).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: expect.stringContaining('is on node b'),
    });
    const clone = await volumes.create(ask({ name: 'z', source: { kind: 'volume', id: origin.id } }), noSignal);
    expect(clone).toMatchObject({ node: 'b', capacityBytes: 2n * GiB });
  });

  test.each([
    ['snapshot', 'nonsense'],
    ['snapshot', volumeId('a', 'x')],
    ['volume', volumeId('a', 'x')],
    ['volume', volumeId('nowhere', 'x')],
  ] as const)('a source that is no %s is not-found: %s', async (kind, id) => {
    const { volumes } = setUp();
    await expect(volumes.create(ask({ source: { kind, id } }), noSignal)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a source that holds another filesystem than asked for is refused at once', async () => {
    const { volumes, snapshot, agent } = setUp();
    const origin = await volumes.create(ask({ name: 'o' }), noSignal);
    agent.volumes.set(origin.id, { ...origin, content: { kind: 'filesystem', fsType: 'xfs', identity: 'own' } });
    const { id } = await snapshot(origin.id);
    const source = { kind: 'snapshot', id } as const;
    await expect(volumes.create(ask({ source, fsType: 'ext4' }), noSignal)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/^volume_content_source: .*xfs.*ext4/),
    });
    await volumes.create(ask({ source, fsType: 'xfs' }), noSignal);
  });

  test('the preferred nodes are tried in their order, then the rest of the allowed', async () => {
    const { volumes, directory } = setUp('a', 'b', 'c');
    directory.agent('c').freeBytes = 0n;
    const placement = { requisite: ['a', 'b', 'c'], preferred: ['c', 'b'] };
    expect(await volumes.create(ask({ placement }), noSignal)).toMatchObject({ node: 'b' });
    directory.agent('b').freeBytes = 0n;
    directory.agent('a').freeBytes = 0n;
    await expect(volumes.create(ask({ name: 'pvc-2', placement }), noSignal)).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: expect.stringMatching(/c: .*b: .*a: /),
    });
  });

  test('a node that there is not has no room', async () => {
    const { volumes } = setUp();
    const placement = { requisite: ['z'], preferred: [] };
    await expect(volumes.create(ask({ placement }), noSignal)).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: expect.stringMatching(/^accessibility_requirements: .*z.*a/),
    });
  });

  test('while a candidate is away, nothing is made elsewhere: it may have the volume', async () => {
    const { volumes, directory } = setUp('a', 'b');
    directory.away.add('b');
    await expect(volumes.create(ask(), noSignal)).rejects.toMatchObject({ code: 'unavailable' });
    await volumes.create(ask({ placement: { requisite: ['a'], preferred: [] } }), noSignal);
  });
});

describe('sizes', () => {
  test.each([
    [{}, GiB],
    [{ requiredBytes: 1n }, 4n * MiB],
    [{ requiredBytes: GiB + 1n }, GiB + MiB],
    [{ requiredBytes: 9n * GiB, limitBytes: 10n * GiB }, 9n * GiB],
    [{ limitBytes: 100n * MiB }, 100n * MiB],
    [{ limitBytes: 100n * MiB + 5n }, 100n * MiB],
  ])('%j gives %d', async (range, size) => {
    const { volumes } = setUp();
    expect(await volumes.create(ask({ range }), noSignal)).toMatchObject({ capacityBytes: size });
  });

  test.each([
    { requiredBytes: GiB + 1n, limitBytes: GiB + 2n },
    { requiredBytes: 1n, limitBytes: 4n * MiB - 1n },
    { limitBytes: 1n },
    { requiredBytes: 2n ** 63n - 1n },
    { requiredBytes: 2n ** 63n - 1n, limitBytes: 2n ** 63n - 1n },
  ])('%j is out-of-range', async (range) => {
    const { volumes } = setUp();
    await expect(volumes.create(ask({ range }), noSignal)).rejects.toMatchObject({ code: 'out-of-range' });
  });

  test('a volume has room for the filesystem that it is to be mounted as', async () => {
    const { volumes } = setUp();
    const small = { requiredBytes: 64n * MiB };
    const xfs = await volumes.create(ask({ name: 'xfs', range: small, fsType: 'xfs' }), noSignal);
    expect(xfs.capacityBytes).toBe(300n * MiB);
    const ext4 = await volumes.create(ask({ name: 'ext4', range: small, fsType: 'ext4' }), noSignal);
    expect(ext4.capacityBytes).toBe(64n * MiB);
    // It could never be staged as what the second request asks for.
    await expect(volumes.create(ask({ name: 'ext4', range: small, fsType: 'xfs' }), noSignal)).rejects.toMatchObject({
      code: 'already-exists',
      message: expect.stringContaining('too few for xfs'),
    });
    const tooSmall = ask({ name: 'x', range: { limitBytes: 299n * MiB }, fsType: 'xfs' });
    await expect(volumes.create(tooSmall, noSignal)).rejects.toMatchObject({ code: 'out-of-range' });
  });

  test('what the pool cannot hold is resource-exhausted, to the byte', async () => {
    const { volumes } = setUp();
    await expect(volumes.create(ask({ range: { requiredBytes: 2n ** 46n } }), noSignal)).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: 'the pool is full',
    });
  });

  test('expansion: exact, idempotent, never shrinking', async () => {
    const { volumes } = setUp();
    const { id } = await volumes.create(ask({ range: { requiredBytes: GiB } }), noSignal);
    expect(await volumes.expand(id, { requiredBytes: 2n * GiB }, noSignal)).toMatchObject({ capacityBytes: 2n * GiB });
    expect(await volumes.expand(id, { requiredBytes: 2n * GiB }, noSignal)).toMatchObject({ capacityBytes: 2n * GiB });
    expect(await volumes.expand(id, { requiredBytes: GiB }, noSignal)).toMatchObject({ capacityBytes: 2n * GiB });
    expect(await volumes.expand(id, { limitBytes: 3n * GiB }, noSignal)).toMatchObject({ capacityBytes: 2n * GiB });
    await expect(volumes.expand(id, { limitBytes: GiB }, noSignal)).rejects.toMatchObject({ code: 'out-of-range' });
    await expect(
      volumes.expand(id, { requiredBytes: 2n * GiB + 1n, limitBytes: 2n * GiB + 2n }, noSignal),
    ).rejects.toMatchObject({ code: 'out-of-range' });
    await expect(volumes.expand('vol-?', { requiredBytes: GiB }, noSignal)).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

test('delete and get of what there is not', async () => {
  const { volumes, agent, directory } = setUp('a', 'b');
  for (const id of ['nonsense', volumeId('nowhere', 'x'), volumeId('a', 'x'), '../../etc']) {
    await volumes.delete(id, noSignal);
    await expect(volumes.get(id, noSignal)).rejects.toMatchObject({ code: 'not-found' });
  }
  expect(agent.calls).toEqual([`delete ${volumeId('a', 'x')}`]);
  directory.away.add('b');
  await expect(volumes.delete(volumeId('b', 'x'), noSignal)).rejects.toMatchObject({ code: 'unavailable' });
});

test('capacity: of one node, of all, of none', async () => {
  const { volumes, directory } = setUp('a', 'b');
  directory.agent('a').freeBytes = 3n * GiB + 5n;
  expect(await volumes.capacity('a', noSignal)).toEqual({
    availableBytes: 3n * GiB,
    maxVolumeBytes: 3n * GiB,
    minVolumeBytes: 4n * MiB,
  });
  expect(await volumes.capacity(undefined, noSignal)).toMatchObject({
    availableBytes: 103n * GiB,
    maxVolumeBytes: 100n * GiB,
  });
  expect(await volumes.capacity('z', noSignal)).toMatchObject({ availableBytes: 0n });
  directory.away.add('b');
  expect(await volumes.capacity(undefined, noSignal)).toMatchObject({ availableBytes: 3n * GiB });
  directory.agent('a').freeBytes = 299n * MiB;
  expect(await volumes.capacity('a', noSignal, 'ext4')).toMatchObject({ availableBytes: 299n * MiB });
  const tooLittle = { availableBytes: 0n, maxVolumeBytes: 0n };
  expect(await volumes.capacity('a', noSignal, 'xfs')).toEqual({ ...tooLittle, minVolumeBytes: 300n * MiB });
  directory.agent('a').freeBytes = 3n * MiB;
  expect(await volumes.capacity('a', noSignal)).toEqual({ ...tooLittle, minVolumeBytes: 4n * MiB });
  directory.agent('a').freeBytes = -5n;
  expect(await volumes.capacity('a', noSignal)).toMatchObject({ availableBytes: 0n });
});
