import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { DriverError } from '../../../src/core/errors.ts';
import { Cleanup } from '../../../src/prove/cleanup.ts';
import { regionOf } from '../../../src/prove/places.ts';
import { STREAMS } from '../../../src/prove/record.ts';
import { type RestoreMode, Restorer, restoreModeOf } from '../../../src/prove/restore.ts';
import type { VolumeRequest } from '../../../src/prove/volumes.ts';
import { OrderedWriter } from '../../../src/prove/writer.ts';

const RUN = 9;
const signal = new AbortController().signal;
const CHECKED: RestoreMode = { kind: 'checked', fsType: 'ext4' };

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cofferdam-restore-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A folder as a volume of a mounted filesystem, with a few numbers on it. */
async function written(folder: string): Promise<{ readonly path: string; readonly number: number }> {
  const path = join(folder, 'volume');
  await mkdir(path);
  let number = 0;
  for (const stream of STREAMS) {
    const targets = [regionOf(path, 'mount', stream)];
    const writer = await OrderedWriter.start({ run: RUN, stream, targets, order: [0] });
    await writer.advance(10, signal);
    await writer.stop();
    if (stream === 'durable') number = writer.count;
  }
  return { path, number };
}

function volumesAt(path: string, refuse: (request: VolumeRequest) => DriverError | undefined) {
  const asked: VolumeRequest[] = [];
  return {
    asked,
    create: async (request: VolumeRequest) => {
      asked.push(request);
      const refusal = refuse(request);
      if (refusal) throw refusal;
      return { id: request.name, bytes: request.bytes, context: {} };
    },
    publish: async () => path,
  };
}

const request = { name: 'r', snapshotId: 's', bytes: 1n, volume: 0, run: RUN };

test('a driver that refuses to give a restored volume as a device is asked for a mounted one, from then on', async () => {
  await using folder = await temporaryFolder();
  const { path, number } = await written(folder.path);
  const refusal = new DriverError('invalid-argument', 'no block here');
  const volumes = volumesAt(path, ({ access }) => (access.kind === 'block' ? refusal : undefined));
  const restorer = new Restorer(volumes, CHECKED, folder.path);
  for (const name of ['a', 'b']) {
    const { readings } = await restorer.restore({ ...request, name }, new Cleanup().scope(), signal);
    expect(readings.durable).toMatchObject({ number, missing: [], damaged: 0 });
  }
  expect(volumes.asked.map(({ name, access }) => `${name} ${access.kind}`)).toEqual([
    'a block',
    'a-m mount',
    'b mount',
  ]);
  const why = 'the driver gives no device of a restored volume (no block here)';
  expect(restorer.mode).toEqual({ kind: 'mounted', fsType: 'ext4', why });
});

test('any other failure is a failure', async () => {
  const volumes = volumesAt('/', () => new DriverError('resource-exhausted', 'full'));
  const restorer = new Restorer(volumes, CHECKED, '/');
  await expect(restorer.restore(request, new Cleanup().scope(), signal)).rejects.toThrow('full');
  expect(restorer.mode).toBe(CHECKED);
});

test('what is not there, or too short, is a reading that says so', async () => {
  await using folder = await temporaryFolder();
  const { path } = await written(folder.path);
  const mode: RestoreMode = { kind: 'mounted', fsType: 'ext4', why: '' };
  const read = async (at: string) => {
    const restorer = new Restorer(
      volumesAt(at, () => undefined),
      mode,
      folder.path,
    );
    return (await restorer.restore(request, new Cleanup().scope(), signal)).readings;
  };
  const short = join(folder.path, 'short');
  await cp(path, short, { recursive: true });
  await rm(join(short, 'durable.dat'));
  await cp('/etc/hostname', join(short, 'buffered.dat'), { force: true });
  const readings = await read(short);
  expect(readings.durable).toMatch(/^can't be read: ENOENT/);
  expect(readings.buffered).toMatch(/^has only \d+ bytes of buffered data$/);
});

test('a folder of a larger filesystem is no volume of its own', async () => {
  await using folder = await temporaryFolder();
  const mode = await restoreModeOf(folder.path, { kind: 'mount', fsType: 'ext4' }, folder.path);
  expect(mode).toEqual({ kind: 'mounted', fsType: 'ext4', why: 'the volume is no mount of its own' });
  expect(await restoreModeOf('/dev/null', { kind: 'block' }, folder.path)).toEqual({ kind: 'raw' });
  // The root filesystem holds the folder itself.
  const root = await restoreModeOf('/', { kind: 'mount', fsType: 'ext4' }, '/');
  expect(root.kind).toBe('mounted');
});
