/** A device is as large as its record says, whatever became of an expansion. */
import { open, stat } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { MiB } from '../../../src/core/bytes.ts';
import { armFailpoints } from '../../../src/core/failpoint.ts';
import { deviceBytes } from '../../../src/host/filesystem.ts';
import { Scratch } from '../../support/scratch.ts';
import { create, openPool } from './playground.ts';

const POINT = 'volume.expand.image';

afterEach(() => armFailpoints(`${POINT}=sleep:0`));

test.each(['the same process', 'the next one'])('an expansion that was not recorded: %s', async (where) => {
  await using scratch = await Scratch.open();
  let { backend } = await openPool(scratch);
  const { id, capacityBytes } = await create(backend, 'volume');
  armFailpoints(`${POINT}=fail:EIO`);
  await expect(backend.expandVolume(id, 2n * capacityBytes)).rejects.toMatchObject({ code: 'EIO' });
  armFailpoints(`${POINT}=sleep:0`);
  if (where === 'the next one') ({ backend } = await openPool(scratch));
  expect(await backend.getVolume(id)).toMatchObject({ capacityBytes });
  for (const readOnly of [false, true]) {
    expect(await deviceBytes((await backend.attach(id, { readOnly })).path)).toBe(capacityBytes);
  }
  await backend.expandVolume(id, 2n * capacityBytes);
  for (const device of await backend.devices(id)) expect(await deviceBytes(device.path)).toBe(2n * capacityBytes);
});

test('what is written past the end is never cut off', async () => {
  await using scratch = await Scratch.open();
  const { backend, log } = await openPool(scratch);
  const { id, capacityBytes } = await create(backend, 'volume');
  const image = scratch.path('data', 'pool', 'volumes', `${id.split('.')[0]}.img`);
  {
    await using file = await open(image, 'r+');
    await file.write('precious', Number(capacityBytes + MiB));
  }
  const { size } = await stat(image);
  await backend.attach(id, { readOnly: false });
  expect((await stat(image)).size).toBe(size);
  expect(log.messages()).toContain('an image is longer than its volume, and has data there');
});
