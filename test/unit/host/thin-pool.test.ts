/** What the kernel says of thin pools and thin volumes that something is wrong with (dm-thin.c, pool_status, thin_status). */
import { expect, test } from '@jest/globals';
import type { DeviceMapper, TargetStatus } from '../../../src/host/device-mapper.ts';
import { hasThinFailed, thinPoolStatus } from '../../../src/host/thin-pool.ts';

function saying(status: TargetStatus): DeviceMapper {
  const table = { type: 'thin-pool', text: '253:0 253:1 128 0 1 skip_block_zeroing ' };
  return { targetStatus: async () => status, targetTable: async () => table } as unknown as DeviceMapper;
}

test.each([
  ['rw no_discard_passdown queue_if_no_space - 1024', 'rw', false],
  ['out_of_data_space discard_passdown error_if_no_space - 1024', 'out_of_data_space', false],
  ['ro discard_passdown error_if_no_space needs_check 1024', 'ro', true],
] as const)('a pool that is %s', async (end, mode, needsCheck) => {
  const text = `7 166/4096 12/2048 - ${end}`;
  const status = await thinPoolStatus(saying({ type: 'thin-pool', text }), 'pool');
  expect(status).toMatchObject({ transactionId: 7n, mode, needsCheck, blockBytes: 65_536n });
});

test.each(['Fail', 'Error'])('a pool, or a volume, that is just %s', async (text) => {
  const failed = { code: 'data-loss', message: `pool is not a thin pool that works: thin-pool ${text}` };
  await expect(thinPoolStatus(saying({ type: 'thin-pool', text }), 'pool')).rejects.toMatchObject(failed);
  expect(await hasThinFailed(saying({ type: 'thin', text }), 'volume')).toBe(true);
});

test.each(['24576 32767', '0 -', '-'])('a volume that works: %s', async (text) => {
  expect(await hasThinFailed(saying({ type: 'thin', text }), 'volume')).toBe(false);
});
