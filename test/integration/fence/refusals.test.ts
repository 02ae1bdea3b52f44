/** Rounds that must fail, and what they must not leave. */
import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { SingleNodeDirectory } from '../../../src/agent/local-agent.ts';
import { DriverError } from '../../../src/core/errors.ts';
import type { VolumeId } from '../../../src/core/ids.ts';
import type { NodeAgent } from '../../../src/core/node-agent.ts';
import { freezeFilesystem, openForFreeze, thawFilesystem } from '../../../src/host/freeze.ts';
import { bindMount, unmount } from '../../../src/host/mount.ts';
import { guardOf, type MountedVolume, NEVER, Rig } from '../../support/rig.ts';
import { eventually, isRunning, Scratch, thawIfFrozen } from '../../support/scratch.ts';

async function threeVolumes(
  rig: Rig,
  scratch: Scratch,
): Promise<readonly [MountedVolume, MountedVolume, MountedVolume]> {
  return [
    await rig.volume(scratch, 'one', 'ext4'),
    await rig.volume(scratch, 'two', 'ext4'),
    await rig.volume(scratch, 'three', 'ext4'),
  ];
}

function idsOf(volumes: readonly { readonly id: VolumeId }[]): readonly VolumeId[] {
  return volumes.map(({ id }) => id);
}

/** No snapshot, no image, nothing frozen, and a new round works. */
async function expectNothingLeft(rig: Rig, scratch: Scratch, volumes: readonly MountedVolume[]): Promise<void> {
  expect(rig.frozen).toBe(0);
  for (const { mountPoint } of volumes) {
    expect(await thawIfFrozen(mountPoint)).toBe(false);
    await scratch.writer(`${mountPoint}/afterwards`).done;
  }
  expect(await rig.backend.listSnapshots({}, {})).toEqual({ items: [] });
  expect(await rig.inPool('cuts')).toEqual([]);
  await eventually('the trash is emptied', async () => (await rig.inPool('trash')).length === 0);
  expect(await rig.journal()).toEqual([]);
  const { snapshots } = await rig.group('afterwards', idsOf(volumes));
  expect(snapshots).toHaveLength(volumes.length);
}

describe('when somebody else holds a member frozen', () => {
  test('the round fails, the other members are thawed, and theirs stays frozen', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volumes = await threeVolumes(rig, scratch);
    await using theirs = await openForFreeze(volumes[1].mountPoint);
    await freezeFilesystem(theirs.fd);

    await expect(rig.group('group', idsOf(volumes))).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('frozen'),
    });
    for (const { mountPoint } of [volumes[0], volumes[2]]) await scratch.writer(`${mountPoint}/file`).done;
    expect(await thawFilesystem(theirs.fd)).toBe(true);
    await expectNothingLeft(rig, scratch, volumes);
  });

  test('a round that ends before its freeze leaves theirs alone, too', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volumes = await threeVolumes(rig, scratch);
    const plan = rig.plan('group', idsOf(volumes));
    await rig.agent.prepare(plan, NEVER);
    await using theirs = await openForFreeze(volumes[1].mountPoint);
    await freezeFilesystem(theirs.fd);
    await rig.agent.abort(plan.token, NEVER);
    expect(await thawFilesystem(theirs.fd)).toBe(true);
    await expectNothingLeft(rig, scratch, volumes);
  });

  test('nor does the death of the guard before the freeze thaw theirs', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volumes = await threeVolumes(rig, scratch);
    const plan = rig.plan('group', idsOf(volumes));
    await rig.agent.prepare(plan, NEVER);
    await using theirs = await openForFreeze(volumes[1].mountPoint);
    await freezeFilesystem(theirs.fd);
    const guard = await guardOf(process.pid);
    process.kill(guard, 'SIGKILL');
    await eventually('the guard ends', () => !isRunning(guard));
    await expect(rig.agent.freeze(plan.token, NEVER)).rejects.toMatchObject({ code: 'unavailable' });
    await rig.agent.abort(plan.token, NEVER);
    expect(await thawFilesystem(theirs.fd)).toBe(true);
    await expectNothingLeft(rig, scratch, volumes);
  });

  test('a clone of it fails as well', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const { id, mountPoint } = await rig.volume(scratch, 'one', 'ext4');
    await using theirs = await openForFreeze(mountPoint);
    await freezeFilesystem(theirs.fd);
    const clone = rig.create('clone', 32n << 20n, { kind: 'volume', id });
    await expect(clone).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await thawFilesystem(theirs.fd)).toBe(true);
    expect(await rig.backend.getVolume(rig.volumeId('clone'))).toBeUndefined();
  });
});

test.each([0, 1, 2])('when somebody thaws member %d inside the window, the cut is thrown away', async (member) => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const volumes = await threeVolumes(rig, scratch);
  const plan = rig.plan('group', idsOf(volumes));
  await rig.agent.prepare(plan, NEVER);
  await rig.agent.freeze(plan.token, NEVER);
  expect(await thawIfFrozen(volumes[member]?.mountPoint ?? '')).toBe(true);
  await expect(rig.agent.cut(plan.token, NEVER)).rejects.toMatchObject({ code: 'aborted' });
  await expect(rig.agent.commit(plan.token, NEVER)).rejects.toMatchObject({ code: 'aborted' });
  await rig.agent.abort(plan.token, NEVER);
  await expectNothingLeft(rig, scratch, volumes);
});

describe('when the mount point of a member leads elsewhere', () => {
  test('the other filesystem is not frozen, and the round fails', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volumes = await threeVolumes(rig, scratch);
    const covered = volumes[1].mountPoint;
    const other = await scratch.filesystem('other', 'ext4', 32n << 20n);
    await bindMount(other, covered, { readOnly: false });

    await expect(rig.group('group', idsOf(volumes))).rejects.toMatchObject({ code: 'failed-precondition' });
    const plan = rig.plan('group', idsOf(volumes));
    await expect(rig.agent.prepare(plan, NEVER)).rejects.toMatchObject({ code: 'failed-precondition' });
    await scratch.writer(`${other}/file`).done;
    await unmount(covered);
    const device = volumes[1].device.path;
    await scratch.mount('two', device, 'ext4');
    await expectNothingLeft(rig, scratch, volumes);
  });

  test('any other mount of the same filesystem will do', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volumes = await threeVolumes(rig, scratch);
    // As kubelet does: staged here, and bound to the pod's folder there; a second time on the very same folder.
    await bindMount(volumes[1].mountPoint, volumes[1].mountPoint, { readOnly: false });
    await bindMount(volumes[0].mountPoint, await scratch.mount('pod', volumes[2].device.path, 'ext4'), {
      readOnly: true,
    });
    const { evidence } = await rig.group('group', idsOf(volumes));
    expect(evidence.map(({ quiescence }) => quiescence)).toEqual(['frozen', 'frozen', 'frozen']);
  });
});

describe('raw block volumes in use', () => {
  test('one is cut first, while all others are quiet', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const one = await rig.volume(scratch, 'one', 'ext4');
    const raw = await rig.rawVolume('raw');
    const two = await rig.volume(scratch, 'two', 'ext4');
    const { evidence } = await rig.group('group', idsOf([one, raw, two]));
    expect(evidence.map(({ quiescence }) => quiescence)).toEqual(['frozen', 'unfenced', 'frozen']);
    const [first, middle, last] = evidence;
    for (const fenced of [first, last]) {
      expect(middle?.cutAtMs).toBeGreaterThanOrEqual(fenced?.frozenAtMs ?? Number.NaN);
      expect(middle?.cutAtMs).toBeLessThanOrEqual(fenced?.cutAtMs ?? Number.NaN);
      expect(middle?.cutAtMs).toBeLessThanOrEqual(fenced?.thawedAtMs ?? Number.NaN);
    }
  });

  test('two are refused, before anything is frozen', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const one = await rig.volume(scratch, 'one', 'ext4');
    const raw = [await rig.rawVolume('raw-1'), await rig.rawVolume('raw-2')];
    await expect(rig.group('group', idsOf([one, ...raw]))).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('lvm-thin'),
    });
    await expectNothingLeft(rig, scratch, [one]);
    // One of them in use, the other not: nothing to refuse.
    await rig.backend.detach(raw[0]?.id ?? '');
    const { evidence } = await rig.group('group', idsOf([one, ...raw]));
    expect(evidence.map(({ quiescence }) => quiescence)).toEqual(['frozen', 'idle', 'unfenced']);
  });

  test('a device that is published counts, whatever the volume is known to hold', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const { id } = await rig.create('blank', 16n << 20n);
    const device = await rig.backend.attach(id, { readOnly: false });
    await writeFile(scratch.path('target'), '');
    await bindMount(device.path, scratch.path('target'), { readOnly: false });
    const { evidence } = await rig.group('group', [id]);
    expect(evidence.map(({ quiescence }) => quiescence)).toEqual(['unfenced']);
  });
});

test.each([0, 1, 2])('when the cut of member %d fails, no snapshot is left', async (member) => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const volumes = await threeVolumes(rig, scratch);
  const { backend } = rig;
  const cutMember = backend.cutMember.bind(backend);
  const full = new DriverError('resource-exhausted', 'the pool is full');
  backend.cutMember = async (token, id) => {
    if (id === volumes[member]?.id) throw full;
    await cutMember(token, id);
  };
  await expect(rig.group('group', idsOf(volumes))).rejects.toBe(full);
  expect(rig.aborted).toEqual([full]);
  backend.cutMember = cutMember;
  await expectNothingLeft(rig, scratch, volumes);
});

/** The agent, but for one step around which something else happens. */
function interrupted(agent: NodeAgent, step: string, when: 'before' | 'after', act: () => void): NodeAgent {
  return new Proxy(agent, {
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      const method = member.bind(target) as (...args: readonly unknown[]) => Promise<unknown>;
      if (key !== step) return method;
      return async (...args: readonly unknown[]) => {
        if (when === 'before') act();
        const result = await method(...args);
        if (when === 'after') act();
        return result;
      };
    },
  });
}

describe('a caller who goes away', () => {
  test('leaves nothing, at whatever step it was', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volumes = await threeVolumes(rig, scratch);
    const gone = new DriverError('cancelled', 'the caller has gone');
    for (const step of ['prepare', 'freeze', 'cut']) {
      for (const when of ['before', 'after'] as const) {
        const caller = new AbortController();
        const agent = interrupted(rig.agent, step, when, () => caller.abort(gone));
        const round = rig.coordinator(new SingleNodeDirectory(agent));
        const request = rig.groupRequest(`${when}-${step}`, idsOf(volumes));
        await expect(round.run(request, caller.signal)).rejects.toBe(gone);
        await expectNothingLeft(rig, scratch, volumes);
        await rig.backend.deleteGroup(rig.groupRequest('afterwards', idsOf(volumes)).group?.id ?? '');
      }
    }
  });

  test('after the decision gets what was decided', async () => {
    await using scratch = await Scratch.open();
    await using rig = await Rig.open(scratch.path('data'));
    const volumes = await threeVolumes(rig, scratch);
    const caller = new AbortController();
    const agent = interrupted(rig.agent, 'commit', 'before', () => caller.abort());
    const round = rig.coordinator(new SingleNodeDirectory(agent));
    const [record] = await round.run(rig.groupRequest('group', idsOf(volumes)), caller.signal);
    expect(record?.snapshots).toHaveLength(3);
  });
});

test('a step that is out of order, or of a round that is over, is refused', async () => {
  await using scratch = await Scratch.open();
  await using rig = await Rig.open(scratch.path('data'));
  const volumes = await threeVolumes(rig, scratch);
  const plan = rig.plan('group', idsOf(volumes));
  const aborted = { code: 'aborted' };
  for (const step of ['wait', 'freeze', 'cut', 'commit'] as const) {
    await expect(rig.agent[step](plan.token, NEVER)).rejects.toMatchObject(aborted);
  }
  await rig.agent.prepare(plan, NEVER);
  await rig.agent.wait(plan.token, NEVER);
  await expect(rig.agent.prepare(plan, NEVER)).rejects.toMatchObject(aborted);
  await expect(rig.agent.cut(plan.token, NEVER)).rejects.toMatchObject(aborted);
  await expect(rig.agent.commit(plan.token, NEVER)).rejects.toMatchObject(aborted);
  await rig.agent.freeze(plan.token, NEVER);
  await expect(rig.agent.wait(plan.token, NEVER)).rejects.toMatchObject(aborted);
  await expect(rig.agent.prepare(plan, NEVER)).rejects.toMatchObject(aborted);
  await expect(rig.agent.freeze(plan.token, NEVER)).rejects.toMatchObject(aborted);
  await expect(rig.agent.commit(plan.token, NEVER)).rejects.toMatchObject(aborted);
  await rig.agent.abort(plan.token, NEVER);
  await rig.agent.abort(plan.token, NEVER);
  await expect(rig.agent.cut(plan.token, NEVER)).rejects.toMatchObject(aborted);
  await expect(rig.agent.commit(plan.token, NEVER)).rejects.toMatchObject(aborted);
  await expectNothingLeft(rig, scratch, volumes);
});
