/** How restored volumes are looked at: what is found, and what could not be looked for, are told apart. */
import { execFileSync } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { expect, jest, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import type { FsType } from '../../../src/core/volume.ts';
import { makeFilesystem } from '../../../src/host/filesystem.ts';
import { attachLoop } from '../../../src/host/loop.ts';
import { createSparseFile } from '../../../src/host/sparse-file.ts';
import { Cleanup } from '../../../src/prove/cleanup.ts';
import { type Restored, Restorer } from '../../../src/prove/restore.ts';
import { runProveWithout, runWithout } from '../../support/prove-command.ts';
import { Scratch } from '../../support/scratch.ts';

jest.setTimeout(300_000);

const signal = new AbortController().signal;

/** What is found on a device that no writer has written to. @param damage done to its new filesystem */
async function look(fsType: FsType, damage: (device: string) => Promise<unknown>): Promise<Restored> {
  await using scratch = await Scratch.open();
  const image = scratch.path('image');
  await createSparseFile(image, 400n * MiB);
  const { path } = await attachLoop({ path: image, readOnly: false, blockSize: 512, directIo: true });
  await makeFilesystem(path, fsType);
  await damage(path);
  await mkdir(scratch.path('work'));
  const volumes = {
    create: async () => ({ id: 'v', bytes: 400n * MiB, context: {} }),
    publish: async () => path,
  };
  const cleanup = new Cleanup();
  const request = { name: 'r', snapshotId: 's', bytes: 400n * MiB, volume: 0, run: 9 };
  const restorer = new Restorer(volumes, { kind: 'checked', fsType }, scratch.path('work'));
  const restored = await restorer.restore(request, cleanup.scope(), signal);
  expect(await cleanup.run()).toEqual([]);
  return restored;
}

async function overwrite(device: string, at: number): Promise<void> {
  await using file = await open(device, 'r+');
  await file.write(Buffer.alloc(64 * 1024, 0x5a), 0, 64 * 1024, at);
  await file.sync();
}

test.each(['ext4', 'xfs'] as const)('%s: a lost superblock is a finding', async (fsType) => {
  const { readings, unclean, unchecked } = await look(fsType, (device) => overwrite(device, 0));
  expect(readings.durable).toMatch(/^can't be mounted: /);
  expect(readings.buffered).toBe(readings.durable);
  expect([unclean, unchecked]).toEqual([undefined, undefined]);
});

test('so is what the check sees in a filesystem that can be mounted', async () => {
  const { unclean, unchecked } = await look('ext4', async (device) =>
    execFileSync('debugfs', ['-w', '-R', 'set_inode_field <2> links_count 7', device], { stdio: 'ignore' }),
  );
  expect(unclean).toMatch(/^is not clean: /);
  expect(unchecked).toBeUndefined();
});

const KILLED = '#!/bin/sh\nkill -9 $$\n';
const GIVES_UP = '#!/bin/sh\nexit 8\n';

test.each([
  {
    what: 'is not there',
    fsType: 'xfs',
    tool: 'xfs_repair',
    script: undefined,
    reason: /^xfs_repair is not installed/,
  },
  { what: 'is killed', fsType: 'ext4', tool: 'e2fsck', script: KILLED, reason: /e2fsck .* died of SIGKILL/ },
  { what: 'gives up', fsType: 'ext4', tool: 'e2fsck', script: GIVES_UP, reason: /e2fsck .* exited with 8/ },
])('a check that $what fails the run, and violates nothing', ({ fsType, tool, script, reason }) => {
  const flags = ['--volumes', '2', '--rounds', '1', '--fs-type', fsType];
  const { code, report } = runProveWithout(`/usr/sbin/${tool}`, script, ...flags);
  expect(report).toMatchObject({ passed: false, violations: 0, violatedRounds: 0, unchecked: 2, cleanupFailures: [] });
  expect(report.failure).toBeUndefined();
  const because = { reason: expect.stringMatching(reason) as unknown };
  expect(report.rounds).toMatchObject([{ unchecked: [because, because], violations: { filesystem: [], durable: [] } }]);
  expect(code).toBe(1);
});

test('nor does the demonstration claim what it could not check', () => {
  const { status, stdout } = runWithout('/usr/sbin/e2fsck', GIVES_UP, 'demo');
  expect(stdout).toMatch(/volume 1 could not be checked: e2fsck .* exited with 8/);
  expect(stdout).toMatch(/Nothing is proved: 27 restored volumes could not be checked\./);
  expect(stdout).not.toMatch(/are consistent/);
  expect(status).toBe(1);
});
