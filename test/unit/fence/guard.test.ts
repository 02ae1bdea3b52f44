/** The guard's end of the pipe: whatever comes through it, and however it ends, everything is thawed. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { ExpeditedRcu } from '../../../src/fence/guard/expedited-rcu.ts';
import { Guard, serveGuard } from '../../../src/fence/guard/guard.ts';
import type { GuardReply, GuardRequest } from '../../../src/fence/guard/protocol.ts';
import { isLockFree } from '../../../src/host/file-lock.ts';
import { temporaryFolder } from '../support/rpc.ts';

/** Notes what it is asked; freezes nothing. */
class FakeGuard extends Guard {
  readonly asked: GuardRequest['op'][] = [];
  abandoned = 0;
  readonly #answer: (request: GuardRequest) => Promise<GuardReply>;

  constructor(answer: (request: GuardRequest) => Promise<GuardReply> = async () => ({ op: 'writeback' })) {
    super('/nowhere');
    this.#answer = answer;
  }

  override async handle(request: GuardRequest): Promise<GuardReply> {
    this.asked.push(request.op);
    return await this.#answer(request);
  }

  override async abandon(): Promise<readonly string[]> {
    this.abandoned++;
    return [];
  }
}

function serve(guard: Guard) {
  const input = new PassThrough();
  const output = new PassThrough({ encoding: 'utf8' });
  return { input, output, served: serveGuard(input, output, guard) };
}

const REQUEST = `${JSON.stringify({ id: 1, op: 'writeback', token: 'a' })}\n`;

describe('the guard thaws everything', () => {
  test('when the pipe closes', async () => {
    const guard = new FakeGuard();
    const { input, served } = serve(guard);
    input.end(REQUEST);
    await served;
    expect(guard).toMatchObject({ asked: ['writeback'], abandoned: 1 });
  });

  test('when the agent died in the middle of a line', async () => {
    const guard = new FakeGuard();
    const { input, served } = serve(guard);
    input.end(`${REQUEST}{"id":2,"op":"arm","token":"b","members":[[{"kind":"filesys`);
    await served;
    expect(guard).toMatchObject({ asked: ['writeback'], abandoned: 1 });
  });

  test('when reading fails', async () => {
    const guard = new FakeGuard();
    const { input, served } = serve(guard);
    input.destroy(new Error('ECONNRESET'));
    expect(await served).toMatchObject({ cause: { message: 'ECONNRESET' } });
    expect(guard.abandoned).toBe(1);
  });

  test('when nobody reads its answers any more', async () => {
    const guard = new FakeGuard();
    const { input, output, served } = serve(guard);
    output.destroy(new Error('EPIPE'));
    input.end(REQUEST);
    await served;
    expect(guard.abandoned).toBe(1);
  });
});

test('answers carry the id of their request, whatever the order they are ready in', async () => {
  let release: (reply: GuardReply) => void = () => undefined;
  const slow = new Promise<GuardReply>((resolve) => {
    release = resolve;
  });
  const guard = new FakeGuard(async ({ op }) => {
    if (op === 'freeze') return await slow;
    if (op === 'arm') throw Object.assign(new Error('busy'), { code: 'EBUSY' });
    if (op === 'thaw') throw new Error('no such round');
    return { op };
  });
  const { input, output, served } = serve(guard);
  const ops = ['freeze', 'writeback', 'arm', 'thaw'];
  input.write(ops.map((op, i) => `${JSON.stringify({ id: i, op, token: 'a' })}\n`).join(''));
  await new Promise(setImmediate);
  release({ op: 'freeze', frozenAtMs: [] });
  input.end();
  await served;
  await new Promise(setImmediate);
  const lines = String(output.read())
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(lines).toEqual([
    { id: 1, ok: { op: 'writeback' } },
    { id: 2, failed: { code: 'EBUSY', message: 'busy' } },
    { id: 3, failed: { code: 'FAILED', message: 'no such round' } },
    { id: 0, ok: { op: 'freeze', frozenAtMs: [] } },
  ]);
});

test('a round that it does not know is thawed already', async () => {
  const guard = new Guard('/nowhere');
  const ask = (request: GuardRequest) => guard.handle(request, () => undefined);
  expect(await ask({ op: 'thaw', token: 'x' })).toEqual({ op: 'thaw', thawedAtMs: [], heldThroughout: [] });
  await expect(ask({ op: 'writeback', token: 'x' })).rejects.toThrow('not armed');
  await expect(ask({ op: 'freeze', token: 'x', deadlineMs: 0 })).rejects.toThrow('not armed');
});

test('what an agent asks for when it has gone is refused', async () => {
  const guard = new Guard('/nowhere');
  const arm = guard.handle({ op: 'arm', token: 'x', members: [] }, () => undefined);
  expect(await guard.abandon()).toEqual([]);
  await expect(arm).rejects.toThrow('gone');
});

test('past its deadline it freezes nothing', async () => {
  let nowMs = 1000;
  const guard = new Guard('/nowhere', new ExpeditedRcu(), { monotonicMs: () => nowMs, wallMs: () => 0 });
  await guard.handle({ op: 'arm', token: 'x', members: [] }, () => undefined);
  nowMs = 2000;
  const late = guard.handle({ op: 'freeze', token: 'x', deadlineMs: 1999 }, () => undefined);
  await expect(late).rejects.toThrow('lease');
});

test('the signal ends it as the agent would, with everything answered', async () => {
  let release: () => void = () => undefined;
  const guard = new FakeGuard(async ({ op }) => {
    if (op === 'freeze') await new Promise<void>((resolve) => (release = resolve));
    return { op: 'writeback' };
  });
  const input = new PassThrough();
  const output = new PassThrough({ encoding: 'utf8' });
  const stop = new AbortController();
  const served = serveGuard(input, output, guard, stop.signal);
  input.write(`${JSON.stringify({ id: 7, op: 'freeze', token: 'a', deadlineMs: 0 })}\n`);
  while (guard.asked.length === 0) await new Promise(setImmediate);
  stop.abort();
  while (guard.abandoned === 0) await new Promise(setImmediate);
  expect(output.read()).toBeNull();
  release();
  await served;
  expect(output.read()).toContain('"id":7');
});

describe('a guard has a share of the lock of its agent', () => {
  const MISSING = [[{ kind: 'filesystem' as const, mountPoint: '/nowhere', devNumber: '7:99999' }]];

  test('as long as any round is armed', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'agent.lock');
    const guard = new Guard(folder.path);
    const ask = (request: GuardRequest) => guard.handle(request, () => undefined);
    for (const token of ['x', 'y']) await ask({ op: 'arm', token, members: [], lock: 'agent.lock' });
    expect(await isLockFree(file)).toBe(false);
    await ask({ op: 'thaw', token: 'x' });
    expect(await isLockFree(file)).toBe(false);
    expect(await guard.abandon()).toEqual(['y']);
    expect(await isLockFree(file)).toBe(true);
  });

  test('and not when it could not be armed, nor of a file outside its folder', async () => {
    await using folder = await temporaryFolder();
    const guard = new Guard(folder.path);
    const arm = guard.handle({ op: 'arm', token: 'x', members: MISSING, lock: '../../agent.lock' }, () => undefined);
    await expect(arm).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(folder.path)).toEqual(['agent.lock']);
    expect(await isLockFree(path.join(folder.path, 'agent.lock'))).toBe(true);
  });
});
