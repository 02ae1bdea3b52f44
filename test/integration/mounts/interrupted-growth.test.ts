/** An unmounted ext4 that is made larger, and that is interrupted: resize2fs leaves what can be neither mounted nor checked. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { GiB, MiB } from '../../../src/core/bytes.ts';
import { localOf, type VolumeId } from '../../../src/core/ids.ts';
import type { Content, Volume } from '../../../src/core/volume.ts';
import { CommandError, run } from '../../../src/host/exec.ts';
import { canGrowMounted, checkFilesystem, filesystemBytes } from '../../../src/host/filesystem.ts';
import { capability, live, NodePlayground } from './node-playground.ts';

const SMALL = 64n * MiB;
const LARGE = 32n * GiB;
const EXT4 = { kind: 'filesystem', fsType: 'ext4', identity: 'own' } as const satisfies Content;
const DATA = randomBytes(40 << 20);

/** An unstaged volume whose filesystem has to grow. */
async function prepare(play: NodePlayground, name: string): Promise<Volume> {
  const { id } = await play.create(name, SMALL);
  await play.stage(id);
  await writeFile(`${play.staging}/file`, DATA);
  await play.unstage(id);
  return await play.backend.expandVolume(id, LARGE);
}

/** Stopped in the middle: by a limit on how far it may write. */
async function growHalf(play: NodePlayground, id: VolumeId): Promise<void> {
  const image = play.path('..', 'data', 'pool', 'volumes', `${localOf(id)}.img`);
  await run(['e2fsck', '-f', '-p', image]);
  await expect(run(['prlimit', `--fsize=${SMALL + 8n * MiB}`, 'resize2fs', image])).rejects.toThrow(CommandError);
}

async function expectWhole(play: NodePlayground, id: VolumeId): Promise<void> {
  expect(digest(await readFile(`${play.staging}/file`))).toBe(digest(DATA));
  await play.unstage(id);
  const { path } = await play.backend.attach(id, { readOnly: true });
  expect(await filesystemBytes(path, 'ext4')).toBe(LARGE);
  expect(await checkFilesystem(path, 'ext4')).toMatchObject({ clean: true });
  await play.backend.detach(id);
}

describe('found half done', () => {
  test.each([
    ['a volume', EXT4],
    ['what was a raw volume', { kind: 'raw' }],
  ] as const)('of %s, it is finished by the next stage', async (_, content) => {
    await using play = await NodePlayground.open();
    const { id } = await prepare(play, 'volume');
    await play.backend.setContent(id, { ...content, growing: true });
    await growHalf(play, id);
    await play.stage(id);
    expect((await play.backend.getVolume(id))?.content).toEqual(content);
    await expectWhole(play, id);
  });

  test('it is finished for readers too, and in a copy', async () => {
    await using play = await NodePlayground.open();
    const { id } = await prepare(play, 'volume');
    await play.backend.setContent(id, { ...EXT4, growing: true });
    await growHalf(play, id);
    const copy = await play.create('copy', LARGE, { kind: 'volume', id });
    for (const each of [id, copy.id]) {
      await play.stage(each, { ...capability(), mode: 'SINGLE_NODE_READER_ONLY' });
      await expectWhole(play, each);
    }
  });

  test('it is left alone when nobody has written down that it was ours', async () => {
    await using play = await NodePlayground.open();
    const { id } = await prepare(play, 'volume');
    await growHalf(play, id);
    if (await canGrowMounted('ext4')) return;
    await expect(play.stage(id)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('run e2fsck'),
    });
    expect(await play.backend.devices(id)).toEqual([]);
  });
});

interface Attempt {
  readonly stage: Promise<unknown>;
  /** The resize2fs of it; undefined when none was seen. */
  readonly pid: number | undefined;
}

/** Stages a volume, until it grows. */
async function stageUntilGrowing(play: NodePlayground, id: VolumeId, signal: AbortSignal): Promise<Attempt> {
  let ended = false;
  const request = { volumeId: id, stagingPath: play.staging, capability: capability() };
  const stage = play.node.stage(request, signal).finally(() => {
    ended = true;
  });
  stage.catch(() => undefined);
  let pid: number | undefined;
  while (!ended && pid === undefined) {
    await sleep(0);
    pid = await childCalled('resize2fs');
  }
  return { stage, pid };
}

async function childCalled(name: string): Promise<number | undefined> {
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  for (const pid of children.split(' ').filter(Boolean)) {
    if ((await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')) === `${name}\n`) return Number(pid);
  }
  return undefined;
}

test('killed at any moment, again and again, it loses nothing', async () => {
  await using play = await NodePlayground.open();
  if (await canGrowMounted('ext4')) return;
  const { id } = await prepare(play, 'volume');
  for (let attempt = 0; attempt < 8; attempt++) {
    const { stage, pid } = await stageUntilGrowing(play, id, live);
    await sleep(attempt);
    kill(pid);
    const [outcome] = await Promise.allSettled([stage]);
    if (outcome.status === 'fulfilled') break;
    expect((await play.backend.getVolume(id))?.content).toEqual({ ...EXT4, growing: true });
    expect(await play.backend.devices(id)).toEqual([]);
  }
  await play.stage(id);
  expect((await play.backend.getVolume(id))?.content).toEqual(EXT4);
  await expectWhole(play, id);
});

test('it is not cancelled with its caller', async () => {
  await using play = await NodePlayground.open();
  if (await canGrowMounted('ext4')) return;
  const { id } = await prepare(play, 'volume');
  const caller = new AbortController();
  const { stage } = await stageUntilGrowing(play, id, caller.signal);
  caller.abort();
  await Promise.allSettled([stage]);
  expect((await play.backend.getVolume(id))?.content).toEqual(EXT4);
  const device = await play.backend.attach(id, { readOnly: true });
  expect(await filesystemBytes(device.path, 'ext4')).toBe(LARGE);
});

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function digest(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
