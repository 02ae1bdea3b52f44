/** A driver that is told to stop while a call of it hangs. */
import { readdir } from 'node:fs/promises';
import { expect, jest, test } from '@jest/globals';
import { isLockFree } from '../../../src/host/file-lock.ts';
import { eventually, Scratch } from '../../support/scratch.ts';
import { dataOf, Serve } from '../../support/serve.ts';

jest.setTimeout(180_000);

test('has the data folder to itself for as long as it lives, and ends all the same', async () => {
  await using scratch = await Scratch.open();
  // Longer than any test: it heeds no signal.
  await using serve = await Serve.start(scratch, { failpoints: 'volume.create.image=sleep:600000' });
  const capability = { mount: { fsType: 'ext4' }, accessMode: { mode: 'SINGLE_NODE_WRITER' } } as const;
  const request = { name: 'hangs', capacityRange: { requiredBytes: '33554432' }, volumeCapabilities: [capability] };
  const call = serve.csi.controller.CreateVolume(request).catch(() => undefined);
  await eventually('its image is there', async () => (await readdir(`${dataOf(scratch)}/pool/volumes`)).length > 0);
  const lock = `${dataOf(scratch)}/lock`;
  expect(await isLockFree(lock)).toBe(false);
  const stop = serve.stop().then(
    () => 'in good order',
    () => 'in the middle of it',
  );
  await eventually('the lock is free', async () => await isLockFree(lock), 60_000);
  // The kernel may tell a little later.
  await eventually('the process has ended', () => serve.ended);
  expect(await stop).toBe('in the middle of it');
  expect(await serve.log()).toContain('did not stop within');
  await call;
  await using next = await Serve.start(scratch);
  await next.stop();
});
