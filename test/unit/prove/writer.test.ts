import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { judge } from '../../../src/prove/judge.ts';
import { REGION_BYTES, readRegion, STREAMS, type Stream } from '../../../src/prove/record.ts';
import { OrderedWriter } from '../../../src/prove/writer.ts';

jest.setTimeout(60_000);

const RUN = 42;
const signal = AbortSignal.timeout(60_000);

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cofferdam-writer-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function targetsIn(folder: string, count: number) {
  return Array.from({ length: count }, (_, i) => ({ path: join(folder, `${i}.dat`), device: false, offset: 0 }));
}

async function read(path: string, stream: Stream, volume: number, offset = 0) {
  const bytes = await readFile(path);
  return readRegion(bytes.subarray(offset, offset + REGION_BYTES), { run: RUN, stream, volume });
}

test.each(STREAMS)('the %s writer leaves what it acknowledged, in order, over changes of the order', async (stream) => {
  await using folder = await temporaryFolder();
  const targets = targetsIn(folder.path, 3);
  const writer = await OrderedWriter.start({ run: RUN, stream, targets, order: [0, 1, 2] });
  await writer.advance(20, signal);
  await writer.useOrder([2, 0, 1], signal);
  const mark = writer.mark();
  await writer.useOrder([2, 1, 0], signal);
  await writer.stop();

  const facts = writer.facts(mark);
  const readings = await Promise.all(targets.map(({ path }, volume) => read(path, stream, volume)));
  expect(judge(readings, facts)).toEqual([]);
  expect(Math.min(...readings.map(({ number }) => number))).toBeGreaterThan(20);
  // Stopped between two numbers, in the last order.
  expect(readings.map(({ number, generation }) => [number, generation])).toEqual(Array(3).fill([facts.begun, 3]));
  expect(mark.acknowledged.every((number) => number <= facts.begun)).toBe(true);
  expect(writer.histogram.reduce((sum, count) => sum + count)).toBe(3 * facts.begun);
  expect(writer.mode).toMatch(stream === 'buffered' ? /^none$/ : /^(O_DIRECT\|O_DSYNC|write\+fdatasync)$/);
});

test('copies taken one after the other while the writer runs are seen to be inconsistent', async () => {
  await using folder = await temporaryFolder();
  const targets = targetsIn(folder.path, 2);
  const writer = await OrderedWriter.start({ run: RUN, stream: 'buffered', targets, order: [0, 1] });
  await writer.advance(5, signal);
  const mark = writer.mark();
  const first = await read(targets[0]?.path ?? '', 'buffered', 0);
  await writer.advance(5, signal);
  const second = await read(targets[1]?.path ?? '', 'buffered', 1);
  const facts = writer.facts(mark);
  await writer.stop();
  // Reading them took a while too, so there may also be holes.
  expect(judge([first, second], facts).map(({ kind }) => kind)).toContain('ahead');
});

test('the longest stall is that since it was last asked', async () => {
  await using folder = await temporaryFolder();
  const options = { run: RUN, stream: 'buffered' as const, targets: targetsIn(folder.path, 1), order: [0] };
  const writer = await OrderedWriter.start(options);
  await writer.advance(10, signal);
  expect(writer.takeLongestStallMs()).toBeGreaterThan(0);
  await writer.advance(1, signal);
  expect(writer.takeLongestStallMs()).toBeGreaterThan(0);
  await writer.stop();
});

test('a region within a larger target leaves the rest alone', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'device');
  const offset = 1024 * 1024;
  await writeFile(path, Buffer.alloc(offset + REGION_BYTES + 4096, 7));
  const targets = [{ path, device: true, offset }];
  const writer = await OrderedWriter.start({ run: RUN, stream: 'durable', targets, order: [0] });
  await writer.advance(3, signal);
  await writer.stop();
  const bytes = await readFile(path);
  expect(bytes.subarray(0, offset).every((byte) => byte === 7)).toBe(true);
  expect(bytes.subarray(offset + REGION_BYTES).every((byte) => byte === 7)).toBe(true);
  expect(await read(path, 'durable', 0, offset)).toMatchObject({ missing: [], damaged: 0 });
});

test('a writer that cannot write says why', async () => {
  const targets = [{ path: '/proc/no-such-file', device: false, offset: 0 }];
  const start = OrderedWriter.start({ run: RUN, stream: 'durable', targets, order: [0] });
  await expect(start).rejects.toThrow('the durable writer failed');
  await expect(start).rejects.toHaveProperty('cause.code', 'ENOENT');
});
