/** What was acknowledged survives power cuts, on both backends. `POWER_CUTS=3` for a quick look. */
import { expect, test } from '@jest/globals';
import type { Machine } from './machine.ts';
import { cutPower, Disks, LOOP_DISKS } from './power-cuts.ts';

const CUTS = Number(process.env.POWER_CUTS ?? 50);
/** A start, a check and the work, for each cut; emulated, on a machine that others use too. */
const LIMIT_MS = 300_000;

test('the disk loses what was not flushed, and nothing else', async () => {
  await using disks = await Disks.make();
  const write = (text: string, megabyte: number, ...flags: readonly string[]) => [
    'sh',
    '-c',
    `printf %-4096s ${text} | dd of=/dev/vda bs=4096 seek=$((${megabyte} * 256)) oflag=direct ${flags.join(' ')}`,
  ];
  await disks.powered(async (machine) => {
    await machine.run(write('flushed', 1, 'conv=fsync'));
    await machine.run(write('not-flushed', 2));
    expect(await readBack(machine, 2)).toBe('not-flushed');
  });
  await disks.powered(async (machine) => {
    expect(await readBack(machine, 1)).toBe('flushed');
    expect(await readBack(machine, 2)).toBe('');
  });
});

test.each(['lvm', ...LOOP_DISKS] as const)(
  `on %s ${CUTS} power cuts lose nothing that was acknowledged`,
  async (kind) => {
    await cutPower(kind, CUTS);
  },
  (CUTS + 1) * LIMIT_MS,
);

async function readBack(machine: Machine, megabyte: number): Promise<string> {
  const { stdout } = await machine.exec([
    'dd',
    'if=/dev/vda',
    'bs=4096',
    `skip=${megabyte * 256}`,
    'count=1',
    'status=none',
  ]);
  return stdout.replaceAll('\0', '').trim();
}
